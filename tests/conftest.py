"""What all suites share: the modules of tests/support, and servers that end with their test."""

import contextlib
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))

from tidewire import Server  # noqa: E402  the path is set above


# under nohup it would be ignored, in what the tests start as well: that is a test's own matter
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def serve():
    """serve(app, *args, listen=..., env=...) -> a running Server, stopped after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(Server(*args, **options))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The paths (certificate, key) of a self-signed certificate for 127.0.0.1 and localhost."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )
    return cert, key
