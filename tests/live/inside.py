"""Lua code that runs inside the binary, beside the runtime's Lua half: for what no command shows by itself."""

import json
import os
import pathlib
import shutil
import subprocess

from tidewire import ROOT, SANITIZER, binary

PRELUDE = """local core = require "tidewire.core"
local function show(value)
    print(core.json_encode(value))
end
return { main = function()
"""


def run_inside(folder, source, **options):
    """Runs the body of a function that has `core` and show(value). Returns what it has shown, in order."""
    lua = pathlib.Path(folder) / "inside"
    shutil.copytree(ROOT / "lua" / "tidewire", lua / "tidewire", dirs_exist_ok=True)
    (lua / "tidewire" / "cli" / "init.lua").write_text(f"{PRELUDE}{source}\nreturn 0 end }}\n")
    env = {**os.environ, "TIDEWIRE_LUA_PATH": str(lua), **options.pop("env", {})}
    done = subprocess.run([binary(), "inside"], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, **options)
    assert done.returncode == 0 and not SANITIZER.search(done.stderr), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
