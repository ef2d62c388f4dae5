"""`tidewire dev` on pipes: every way to save is one reload, and every mistake is told and can be mended."""

import json
import os
import re
import shutil
import subprocess

import pytest
from dev import Dev
from live import write_app
from tidewire import binary

APP = """
return { routes = { ["/"] = require "chat" } }
"""
# the version that a connection speaks to
CHAT = "return {{ message = function(ws) ws:send('{}') end }}\n"


@pytest.fixture
def dev():
    """dev(app, *args, env=..., cwd=...) -> a Dev, stopped after the test."""
    started = []

    def start(*args, **options):
        started.append(Dev(*args, **options))
        return started[-1]
    yield start
    for each in started:
        assert each.stop() == 0, each.report()


@pytest.fixture
def app(tmp_path):
    """The folder of an app with a module, chat.lua, which says "one"."""
    write_app(tmp_path / "app", APP, files={"chat.lua": CHAT.format("one")})
    text = (tmp_path / "app" / "app.lua").read_text()
    (tmp_path / "app" / "app.lua").write_text(text.replace("return {", "return tidewire.app {"))
    return tmp_path / "app"


def says(peer):
    peer.text("?")
    return peer.message()


def version_of(folder):
    """The number of the version that serves."""
    done = subprocess.run([binary(), "status", "--json", folder], capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout)["code"]["version"]


def reloads(running):
    return [line for line in running.out.lines if line.startswith("reloaded ")]


RELOADED = r"^reloaded chat\.lua in \d+(\.\d)? m?s, 1 connection kept$"


# --- saving ----------------------------------------------------------------------------------------

def test_save_is_a_reload_and_connections_stay(dev, app):
    running = dev(app).wait_up()
    peer = running.open()
    assert says(peer) == "one"
    for i, word in enumerate(("two", "three"), 1):
        (app / "chat.lua").write_text(CHAT.format(word))
        running.wait_out(RELOADED, i)
        assert says(peer) == word
    assert version_of(app) == 3


def shell(command):
    return lambda folder: subprocess.run(["sh", "-ec", command], cwd=folder, check=True, timeout=60)


def slowly(folder):
    """Half of it, and the rest later than any quiet time."""
    read, write = os.pipe()
    with open(folder / "chat.lua", "w") as file:
        file.write("return { message = function(ws)")
        file.flush()
        subprocess.run(["sleep", "0.5"], check=True)  # what is tested: a pause while writing
        file.write(" ws:send('new') end }\n")
    os.close(read)
    os.close(write)


NEW = CHAT.format("new").replace("\n", "")
WAYS = {
    "write": shell(f'echo "{NEW}" > chat.lua'),
    "append": shell("echo '-- more' >> chat.lua; true"),
    "sed -i": shell("sed -i s/one/new/ chat.lua"),
    "cp": shell("cp ../new.lua chat.lua"),
    "mv over": shell("cp ../new.lua n.lua && mv n.lua chat.lua"),
    "mv from another folder": shell("mv ../new.lua chat.lua"),
    "vim": shell("vim -Nu NONE -es -c '%s/one/new/' -c 'wq' chat.lua"),
    "vim, backup kept": shell("vim -Nu NONE -es -c 'set backup backupcopy=no' -c '%s/one/new/' -c 'wq' chat.lua"),
    "vim in place": shell("vim -Nu NONE -es -c 'set backupcopy=yes' -c '%s/one/new/' -c 'wq' chat.lua"),
    "delete and write": shell(f'rm chat.lua; echo "{NEW}" > chat.lua'),
    "in two steps": slowly,
    "hard link": shell("rm chat.lua; ln ../new.lua chat.lua"),
    "symlink": shell("ln -sf ../new.lua chat.lua"),
    "several times": shell("for i in 1 2 3 4 5; do sed -i s/one/x$i/ chat.lua; done; cp ../new.lua chat.lua"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_save_is_one_reload(dev, app, way):
    (app.parent / "new.lua").write_text(CHAT.format("new"))
    running = dev(app).wait_up()
    peer = running.open()
    WAYS[way](app)
    running.wait_out(RELOADED)
    assert says(peer) == ("one" if way == "append" else "new")
    # one more: had there been two of the one before, this would be version 4
    (app / "chat.lua").write_text(CHAT.format("last"))
    running.wait_out(RELOADED, 2)
    assert says(peer) == "last" and version_of(app) == 3
    assert len(reloads(running)) == 2 and running.err.lines == [], running.report()


def test_checkout_of_many_files_is_one_reload(dev, app):
    def git(*args):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *args], cwd=app, check=True, timeout=60)

    def write(word):
        (app / "chat.lua").write_text("".join(f'require "m{i}"\n' for i in range(50)) + CHAT.format(word))
        for i in range(50):
            (app / f"m{i}.lua").write_text(f"return '{word}'\n")

    git("init", "-q", ".")
    for word in "one", "two":
        write(word)
        git("add", "*.lua")
        git("commit", "-qm", word)
    running = dev(app).wait_up()
    peer = running.open()
    assert says(peer) == "two"
    git("checkout", "-q", "HEAD~1")
    running.wait_out(r"^reloaded chat\.lua and 50 others in .*, 1 connection kept$")
    assert says(peer) == "one" and version_of(app) == 2


def test_symlink_that_is_turned_is_one_reload(dev, tmp_path):
    for release in "1", "2":
        write_app(tmp_path / release, APP.replace("return {", "return tidewire.app {"),
                  files={"chat.lua": CHAT.format(release)})
    os.symlink("1", tmp_path / "current")
    running = dev(tmp_path / "current").wait_up()
    peer = running.open()
    assert says(peer) == "1"
    os.symlink("2", tmp_path / "next")
    os.rename(tmp_path / "next", tmp_path / "current")
    running.wait_out(RELOADED)
    assert says(peer) == "2"
    (tmp_path / "1" / "chat.lua").write_text(CHAT.format("of no interest"))
    (tmp_path / "2" / "chat.lua").write_text(CHAT.format("3"))
    running.wait_out(RELOADED, 2)
    assert says(peer) == "3" and version_of(tmp_path / "1") == 3


def test_what_does_not_change_the_code_is_no_reload(dev, app):
    running = dev(app).wait_up()
    peer = running.open()
    os.utime(app / "chat.lua")
    (app / "chat.lua").write_bytes((app / "chat.lua").read_bytes())
    (app / "notes.txt").write_text("x")
    (app / "unused.lua").write_text("return {")
    (app / "new").mkdir()
    (app / "chat.lua").write_text(CHAT.format("two"))
    running.wait_out(RELOADED)
    assert says(peer) == "two" and version_of(app) == 2 and running.err.lines == []


def test_folders_that_come_later(dev, app):
    running = dev(app).wait_up()
    peer = running.open()
    (app / "chat.lua").write_text("local word = require 'lib.words.first'\n" + CHAT.replace("'{}'", "word").format())
    running.wait_err(r"module `lib\.words\.first` not found")
    (app / "lib" / "words").mkdir(parents=True)
    (app / "lib" / "words" / "first.lua").write_text("return 'new'\n")
    running.wait_out(r"^reloaded chat\.lua and 1 other in ")
    assert says(peer) == "new"
    (app / "lib" / "words" / "first.lua").write_text("return 'newer'\n")
    running.wait_out(r"^reloaded lib/words/first\.lua in ")
    assert says(peer) == "newer"


def test_root_that_goes_and_comes_back(dev, app):
    running = dev(app).wait_up()
    peer = running.open()
    os.rename(app, app.parent / "away")
    running.wait_err("still serving version 1")
    assert says(peer) == "one"
    os.rename(app.parent / "away", app)
    running.wait_out("^nothing has changed; version 1 serves$")
    (app / "chat.lua").write_text(CHAT.format("two"))
    running.wait_out(RELOADED)
    shutil.rmtree(app)
    running.wait_err("still serving version 2")
    write_app(app, APP.replace("return {", "return tidewire.app {"), files={"chat.lua": CHAT.format("three")})
    running.wait_out("^reloaded chat.lua in ", 2)
    assert says(peer) == "three"


# --- mistakes --------------------------------------------------------------------------------------

def test_syntax_error_is_shown_and_mended(dev, app):
    running = dev(app).wait_up()
    peer = running.open()
    (app / "chat.lua").write_text("local a = 1\nreturn { message = ) }\n")
    running.wait_err("^still serving version 1$")
    text = running.err.text()
    place = re.escape(str(app / "chat.lua"))
    assert re.search(place + r":2: unexpected symbol near '\)'", text), text
    assert re.search(r"> 2 \| return \{ message = \) \}\n +\| +\^\n", text), text
    assert says(peer) == "one"
    (app / "chat.lua").write_text(CHAT.format("two"))
    running.wait_out(RELOADED)
    assert says(peer) == "two" and text == running.err.text()


def test_error_while_loading_is_shown_with_locals_and_calls(dev, app):
    running = dev(app).wait_up()
    (app / "chat.lua").write_text("local function deep(limit)\n    local words = { 'a', n = 1 }\n"
                                  "    return words.none.x\nend\nlocal chat = deep(7)\nreturn chat\n")
    running.wait_err("^still serving version 1$")
    text = running.err.text()
    assert re.search(r"chat\.lua:3: attempt to index a nil value \(field 'none'\)", text), text
    assert "    limit = 7\n" in text and '    words = { "a", n = 1 }\n' in text, text
    assert re.search(r"stack traceback:\n.*chat\.lua:3: in .*deep.*\n(.*\n)*.*chat\.lua:5: in main chunk", text), text


def test_mistake_that_is_taken_back(dev, app):
    running = dev(app).wait_up()
    good = (app / "chat.lua").read_text()
    (app / "chat.lua").write_text("return {")
    running.wait_err("^still serving version 1$")
    (app / "chat.lua").write_text(good)
    running.wait_out("^nothing has changed; version 1 serves$")
    assert reloads(running) == []


def test_same_mistake_after_another_save_is_told_again(dev, app):
    running = dev(app).wait_up()
    (app / "chat.lua").write_text("return {")
    running.wait_err("^still serving version 1$")
    (app / "chat.lua").write_text("return {\n")
    running.wait_err("^still serving version 1$", 2)
    assert len(running.wait_err(r"chat\.lua:\d: unexpected symbol near <eof>|'}' expected near <eof>")) <= 2


def test_app_that_is_broken_from_the_start(dev, app):
    good = (app / "chat.lua").read_text()
    (app / "chat.lua").write_text("return {")
    running = dev(app)
    running.wait_err(r"chat\.lua:1: ")
    running.wait_err("^waiting for a file to be saved$")
    (app / "chat.lua").write_text("return }")
    running.wait_err("^waiting for a file to be saved$", 2)
    (app / "chat.lua").write_text(good)
    running.wait_up()
    peer = running.open()
    assert says(peer) == "one"
    (app / "chat.lua").write_text(CHAT.format("two"))
    running.wait_out(RELOADED)
    assert says(peer) == "two"


def test_app_that_does_not_start(dev, tmp_path):
    app = write_app(tmp_path / "app", """
return tidewire.app { routes = { ["/"] = { message = print } }, start = function() error("no database") end }
""")
    running = dev(app)
    running.wait_err("no database")
    running.wait_err("^waiting for a file to be saved$")
    app.write_text(app.read_text().replace('error("no database")', ""))
    running.wait_up()


def test_version_that_was_rolled_back_is_not_taken_again(dev, app):
    running = dev(app).wait_up()
    bad = "return { message = function(ws) error('bad') end, error = function(ws) ws:send('raised') end }\n"
    (app / "chat.lua").write_text(bad)
    running.wait_out("^reloaded chat.lua in ")
    peers = [running.open() for _ in range(5)]
    for peer in peers:
        peer.text("?")
    running.wait_err("version 2 was rolled back")
    running.wait_err("serving version 1 again")
    peer = running.open()
    assert says(peer) == "one"
    os.utime(app / "chat.lua")
    running.wait_err("^still serving version 1$")
    assert says(peer) == "one"
    (app / "chat.lua").write_text(CHAT.format("two"))
    running.wait_out("^reloaded chat.lua in ", 2)
    assert says(peer) == "two"


def test_error_of_a_handler_shows_locals(dev, app):
    running = dev(app).wait_up()
    (app / "chat.lua").write_text("return { message = function(ws, data)\n    local n = 41\n    return n .. nil\nend }\n")
    running.wait_out("^reloaded chat.lua in ")
    running.open().text("hi")
    running.wait_err(r"chat\.lua:3: attempt to concatenate a nil value")
    running.wait_err(r"^ +n = 41$")
    running.wait_err(r'^ +data = "hi"$')


# --- what else is asked for ------------------------------------------------------------------------

def test_pipes_get_plain_lines(dev, app):
    running = dev(app).wait_up()
    (app / "chat.lua").write_text("return {")
    running.wait_err("^still serving version 1$")
    (app / "chat.lua").write_text(CHAT.format("two"))
    running.wait_out("^reloaded chat.lua in ")
    assert "\x1b" not in running.out.text() + running.err.text()


def test_reload_of_somebody_else_is_told_too(dev, app):
    running = dev(app).wait_up()
    (app / "chat.lua").write_text(CHAT.format("two"))
    running.wait_out("^reloaded chat.lua in ")
    done = subprocess.run([binary(), "rollback", app], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    running.wait_out("^rolled back to version 1 in ")
    done = subprocess.run([binary(), "reload", "--dry-run", app], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    (app / "chat.lua").write_text(CHAT.format("three"))
    running.wait_out("^reloaded chat.lua in ", 2)
    assert len(reloads(running)) == 2


def test_several_workers(dev, app):
    running = dev(app, "--workers", "3").wait_up()
    peers = [running.open() for _ in range(6)]
    (app / "chat.lua").write_text(CHAT.format("two"))
    running.wait_out("^reloaded chat.lua in .*, 6 connections kept$")
    assert [says(peer) for peer in peers] == ["two"] * 6
