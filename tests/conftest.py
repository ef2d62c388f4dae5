"""What all suites share: the modules of tests/support, and servers and scripts that end with their test."""

import contextlib
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))

from script import Door, Script  # noqa: E402  the path is set above
from tidewire import Server  # noqa: E402


# under nohup, or behind an &, they would be ignored in what the tests start as well: that is a test's own matter
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def serve():
    """serve(app, *args, listen=..., env=...) -> a running Server, stopped after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(Server(*args, **options))


@pytest.fixture
def script(tmp_path):
    """script(SOURCE, *args, env=..., files=..., options=...) -> a Script under way."""
    with contextlib.ExitStack() as stack:
        def start(source, *args, **options):
            started = Script(tmp_path, source, *args, **options)
            stack.callback(started.stop)
            return started
        yield start


@pytest.fixture
def door():
    """door(path=..., port=...) -> a Door; by default at a free port."""
    with contextlib.ExitStack() as stack:
        def make(**options):
            made = Door(**options)
            stack.callback(made.shut)
            return made
        yield make


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
