"""The sources of an app as one bundle: what is in it, and what is said when it cannot be made."""

import os
import subprocess
import sys
import tempfile

import pytest
from inside import run_inside
from live import write_app
from tidewire import SANITIZER, binary

HANDLER = "return { message = print }"

COLLECT = """
local collect, bundle = require "tidewire.bundle.collect", require "tidewire.bundle"
local bytes, report = collect.report {
    app = APP, settings = { limits = { value = {} }, proxies = { value = {} } }, dev = DEV,
}
print(report)
show(bytes and bundle.open(bytes) or false)
"""


def collect(folder, app, dev=False):
    """The report, and what bundle.open makes of the bundle."""
    report, opened = run_inside(folder / "probe", f'local APP, DEV = "{app}", {str(dev).lower()}\n{COLLECT}')
    return report, opened


def check(app, timeout=60, **options):
    done = subprocess.run([binary(), "check", str(app)], capture_output=True, text=True, timeout=timeout, **options)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def assert_refused(app, *told, **options):
    done = check(app, **options)
    assert done.returncode == 1 and done.stdout == "", done
    for text in told:
        assert text in done.stderr, done.stderr


def names(folder, paths):
    return sorted(os.path.relpath(path, folder) for path in paths)


def test_what_is_in_it(tmp_path):
    source = "local a = require 'a'\nreturn { message = function() require 'late' end, open = a }"
    app = write_app(tmp_path / "app", source, files={
        "a.lua": "return print", "late.lua": "return require 'later'", "later.lua": "return 1",
        "other.lua": "return 2"})
    report, opened = collect(tmp_path, app)
    assert report["ok"] and report["hash"] == opened["hash"] and report["state_version"] == 1
    assert names(app.parent, opened["loaded"]) == ["a.lua", "app.lua"]
    assert names(app.parent, opened["files"]) == ["a.lua", "app.lua", "late.lua", "later.lua"]
    assert report["watch"] == [str(app.parent)]
    assert collect(tmp_path, app) == (report, opened)


def test_hashes_are_of_the_bytes(tmp_path):
    app = write_app(tmp_path / "app", HANDLER)
    report, opened = collect(tmp_path, app)
    told = subprocess.run(["sha256sum", app], capture_output=True, text=True, check=True).stdout.split()[0]
    assert report["files"] == [{"path": str(app), "hash": told}]
    app.write_text(app.read_text() + " ")
    assert collect(tmp_path, app)[0]["hash"] != report["hash"]


def test_real_files_that_change_meanwhile(tmp_path):
    """The app itself rewrites its module while it loads: once, then it is as it was read the second time."""
    app = write_app(tmp_path / "app", """
        local path = (...) and select(2, ...):gsub("app.lua$", "a.lua")
        local value = require "a"
        if value == 1 then
            local file = io.open(path, "w")
            file:write "return 2"
            file:close()
        end
        return { message = print }""", files={"a.lua": "return 1"})
    report, opened = collect(tmp_path, app)
    assert report["ok"]
    assert opened["files"][f"{app.parent}/a.lua"] == "return 2"


def test_a_file_that_changes_every_time(tmp_path):
    app = write_app(tmp_path, """
        local path = select(2, ...):gsub("app.lua$", "a.lua")
        local value = require "a"
        local file = io.open(path, "w")
        file:write(("return %d"):format(value + 1))
        file:close()
        return { message = print }""", files={"a.lua": "return 1"})
    assert_refused(app, f"{tmp_path}/a.lua has changed each time while the app was read (5 times): wait until what "
                   "writes there has ended")
    assert (tmp_path / "a.lua").read_text() == "return 6"


def test_a_file_that_vanishes(tmp_path):
    app = write_app(tmp_path, """
        local path = select(2, ...):gsub("app.lua$", "a.lua")
        local a = require "a"
        os.remove(path)
        return { message = print }""", files={"a.lua": "return 1"})
    assert_refused(app, "module `a` not found", f"{tmp_path}/a.lua", f"{app}:9: ")


def test_symbolic_links_in_a_circle(tmp_path):
    app = write_app(tmp_path, f"require 'a'\n{HANDLER}")
    (tmp_path / "a.lua").symlink_to("b.lua")
    (tmp_path / "b.lua").symlink_to("a.lua")
    assert_refused(app, f"cannot open {tmp_path}/a.lua: Too many levels of symbolic links: symbolic links that lead "
                   "in a circle; remove one of them")


def test_folders_in_a_circle(tmp_path):
    app = write_app(tmp_path / "app", "return { message = function(_, name) require(name) end }",
                    files={"lib/a.lua": "return 1"})
    (app.parent / "lib" / "up").symlink_to("..")
    (app.parent / "lib" / "self").symlink_to("self")
    report, opened = collect(tmp_path, app)
    assert report["ok"], report
    assert names(app.parent, opened["files"]) == ["app.lua", "lib/a.lua"]


def test_more_than_64_mib(tmp_path):
    app = write_app(tmp_path, "return { message = function(_, name) require(name) end }",
                    files={"a.lua": "", "b.lua": ""})
    os.truncate(tmp_path / "a.lua", 40 << 20)
    os.truncate(tmp_path / "b.lua", 40 << 20)
    assert_refused(app, f"cannot open {tmp_path}/b.lua: File too large: all sources of an app together may have "
                   "64 MiB; keep data in files that the app reads with io.open")
    os.truncate(tmp_path / "a.lua", 1 << 40)
    assert_refused(app, f"cannot open {tmp_path}/a.lua: File too large")


def test_what_is_no_file(tmp_path):
    """A pipe without a writer is not waited for."""
    app = write_app(tmp_path, f"require 'a'\n{HANDLER}")
    os.mkfifo(tmp_path / "a.lua")
    assert_refused(app, f"cannot open {tmp_path}/a.lua: Not a regular file")


def as_nobody(app):
    """`check` as another user than root, who may read everything. To him the program's folder may be closed."""
    if os.geteuid():
        return check(app)
    become = "import os, sys; os.setuid(65534); os.execve(int(sys.argv[1]), sys.argv[2:], os.environ)"
    with open(binary(), "rb") as program:
        done = subprocess.run([sys.executable, "-c", become, str(program.fileno()), "tidewire", "check", app],
                              pass_fds=[program.fileno()], capture_output=True, text=True, timeout=60)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


@pytest.fixture
def public():
    """A folder that all may enter: those of pytest are closed."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield folder


@pytest.mark.parametrize("closed, source, told", [
    ("lib/a.lua", "local a = require 'lib.a' return { message = a }",
     "cannot open {}/lib/a.lua: Permission denied: the user that runs tidewire has to be allowed to read it, and to "
     "enter the folders above it"),
    ("lib", "local a = require 'lib.a' return { message = a }", "cannot open {}/lib/a.lua: Permission denied: the"),
    ("lib", "return { message = function() require 'lib.a' end }", "cannot open {}/lib/a.lua: Permission denied: the"),
    ("lib", "return { message = function(_, name) require(name) end }",
     "cannot read the folder {0}/lib: Permission denied (let the user that runs tidewire read it, or move it out of "
     "the app's folder); it is read because {0}/app.lua:7 requires modules by names that are computed"),
    ("app.lua", HANDLER, "cannot open {}/app.lua: Permission denied"),
    (".", HANDLER, "cannot open {}: Permission denied"),
])
def test_without_permission(public, closed, source, told):
    write_app(public, source, files={"lib/a.lua": "return print"})
    os.chmod(f"{public}/{closed}", 0)
    done = as_nobody(public)
    os.chmod(f"{public}/{closed}", 0o755)
    assert done.returncode == 1 and done.stdout == "", done
    assert told.format(public) in done.stderr, done.stderr


def test_folders_that_a_name_cannot_reach_may_be_closed(public):
    write_app(public, "return { message = function(_, name) require(name) end }", files={"old.d/a.lua": "return print"})
    os.chmod(f"{public}/old.d", 0)
    done = as_nobody(public)
    assert done.returncode == 0, done


def test_a_worker_reads_no_module_from_the_disk(live, tmp_path):
    """Neither one that has changed or gone since, nor one that has come."""
    server = live("""
        return { message = function(ws, name)
            local ok, value = pcall(require, name)
            ws:send(tostring(value))
        end }""", files={"late.lua": "return 'as it was'", "other.lua": "return 'another'"})
    peer = server.open()
    (tmp_path / "app" / "late.lua").write_text("return 'changed'")
    (tmp_path / "app" / "other.lua").unlink()
    (tmp_path / "app" / "new.lua").write_text("return 'new'")
    for name, answer in ("late", "as it was"), ("other", "another"):
        peer.text(name)
        assert peer.message() == answer
    peer.text("new")
    assert "module `new` is not in version 1, which has what was there when it was read" in peer.message()


def test_local_variables_in_dev(tmp_path):
    """Those of the place of the error, in a coroutine that has failed for want of memory too."""
    app = write_app(tmp_path / "app", """
        local function fail(port, name)
            local t = { port, name }
            error "no"
        end
        fail(80, "x\\ty")""")
    report, opened = collect(tmp_path, app, dev=True)
    assert opened is False and report["phase"] == "load" and report["line"] == 10
    shown = '\nlocal variables:\n    port = 80\n    name = "x\\ty"\n    t = { 80, "x\\ty" }\n'
    assert shown in report["text"], report["text"]
    assert "local variables" not in collect(tmp_path, app)[0]["text"]
    app = write_app(tmp_path / "app", "local port = 80\nlocal s = ('x'):rep(1 << 30)")
    text = collect(tmp_path, app, dev=True)[0]["text"]
    assert "it took more than 256 MiB" in text and "    port = 80\n" in text, text
