"""The fixtures of these tests; see live.py and client.py."""

import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from client import SHOW, Websockets  # noqa: E402  the path is set above
from live import LiveServer, write_app  # noqa: E402  the path is set above


@pytest.fixture
def live(tmp_path):
    """live(SOURCE, *args, config=..., files=..., listen=..., prefix=...) -> a running LiveServer."""
    with contextlib.ExitStack() as stack:
        def start(source, *args, config=None, files=None, **options):
            app = write_app(tmp_path / "app", source, config, files)
            return stack.enter_context(LiveServer(app, *args, **options))
        yield start


@pytest.fixture
def run(script):
    """A script that has show(...), which prints its arguments joined by "|"."""
    return lambda source, *args, **options: script(SHOW + source, *args, **options)


@pytest.fixture
def serve_websockets():
    """serve_websockets(HANDLER, **options) -> a running server of Python websockets."""
    with contextlib.ExitStack() as stack:
        def start(handler, **options):
            server = Websockets(handler, **options)
            stack.callback(server.stop)
            return server
        yield start
