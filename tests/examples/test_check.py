"""`tidewire check` on every app and example of the checkout."""

import pathlib
import subprocess

import pytest
from tidewire import binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
APPS = sorted(path.relative_to(ROOT) for pattern in ("apps/*.lua", "apps/*/app.lua", "examples/*.lua")
              for path in ROOT.glob(pattern) if "--   tidewire exec " not in path.read_text())  # no app, but a script


@pytest.mark.parametrize("app", APPS, ids=str)
def test_check(app):
    path = app.parent if app.name == "app.lua" else app
    done = subprocess.run([binary(), "check", path], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"ok {app}\n")
