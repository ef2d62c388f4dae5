"""The fixtures of these tests; see reloading.py and swarm.py."""

import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from reloading import ReloadServer  # noqa: E402  the path is set above


@pytest.fixture(params=[1, 4], ids=["1 worker", "4 workers"])
def workers(request):
    """How many workers serve: everything that all of them have to do together is tested with one and with four."""
    return request.param


@pytest.fixture
def app(tmp_path):
    """app(SOURCE, files, workers=..., settings=...) -> a running ReloadServer with this as version 1."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(ReloadServer(tmp_path / "app", *args, **options))
