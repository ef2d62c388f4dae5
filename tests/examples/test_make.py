"""What `make` says when all is built: nothing."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_make_says_nothing_when_there_is_nothing_to_do(tmp_path):
    (tmp_path / "tidewire").touch()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-o", tmp_path / "tidewire", f"B={tmp_path}", "all"], cwd=ROOT, env=clean,
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
