"""A server whose generations the test makes itself, by chunks of Lua that run inside the worker."""

import itertools
import json
import os
import pathlib
import shutil
import threading
import time

from live import LiveServer
from tidewire import ROOT

HERE = pathlib.Path(__file__).parent


class Generations(LiveServer):
    """server.do(CHUNK) runs it in the worker and returns its results; see generations_worker.lua."""

    def __init__(self, folder, **options):
        lua = folder / "lua" / "tidewire"
        shutil.copytree(ROOT / "lua" / "tidewire", lua)
        shutil.copy(HERE / "generations_worker.lua", lua / "worker.lua")
        self.chunks = folder / "chunks"
        self.chunks.mkdir()
        (folder / "app.lua").write_text("return { message = print }\n")
        env = {"TIDEWIRE_LUA_PATH": str(folder / "lua"), "CHUNKS": str(self.chunks)}
        super().__init__(folder / "app.lua", env=env, **options)
        self.numbers = itertools.count(1)

    def begin(self, chunk):
        """Begins it; returns a function that waits for its results."""
        path = self.chunks / str(next(self.numbers))
        part = path.with_suffix(".new")
        part.write_text(chunk)
        os.rename(part, path.with_suffix(".lua"))

        def results():
            until = time.monotonic() + 30
            while not path.with_suffix(".json").exists():
                assert time.monotonic() < until and self.process.poll() is None, f"{chunk}\n{self.report()}"
                threading.Event().wait(0.005)
            ok, *values = json.loads(path.with_suffix(".json").read_text())
            assert ok, values[0]
            return values[0] if len(values) == 1 else values
        return results

    def do(self, chunk):
        return self.begin(chunk)()

    def make(self, number, source, state_version=1):
        """Makes a generation of the version; `source` returns its routes."""
        self.do(f"make({number}, {state_version}, [==[{source}]==])")

    def serve(self, number, source, state_version=1):
        """Makes it and commits it."""
        self.make(number, source, state_version)
        self.do(f"gens[{number}]:commit()")

    def roles(self):
        """Version -> role, of those that live."""
        return dict(self.do("""
            local out = core.json_array {}
            for i, gen in ipairs(core.generations()) do out[i] = { gen.number, gen.role } end
            return out"""))

    def wait_roles(self, **wanted):
        """Waits until these live, and no others: v1="current"."""
        wanted = {int(name[1:]): role for name, role in wanted.items()}
        until = time.monotonic() + 20
        while (roles := self.roles()) != wanted:
            assert time.monotonic() < until, f"{roles} instead of {wanted}\n{self.report()}"
