"""`tidewire dev` before a terminal: keys, the page, and a terminal that is as it was in every end."""

import os
import shutil
import signal

import pytest
from dev import Terminal, command_line
from live import wait_until, write_app

GOOD = "return { message = function(ws) ws:send('one') end }\n"
BROKEN = "return {\n"


@pytest.fixture
def app(tmp_path):
    path = write_app(tmp_path / "app", "")
    path.write_text(GOOD)
    return path


@pytest.fixture
def terminal():
    started = []

    def start(command, **options):
        started.append(Terminal(command, **options))
        return started[-1]
    yield start
    for each in started:
        each.close()


@pytest.fixture
def dev(terminal, app):
    """`dev` that has come up, and takes keys."""
    def start(*args, **options):
        running = terminal(command_line(app, *args), **options)
        running.wait("keys ")
        running.wait_cooked(False)
        return running
    return start


def test_keys_are_told(dev):
    dev().wait("r reload, o open the page, q quit")


def test_r_reloads(dev, app):
    running = dev()
    running.type("r")
    running.wait("nothing has changed; version 1 serves")
    running.type("rr\nr")
    running.wait("nothing has changed; version 1 serves", 2)


def test_q_quits_and_the_terminal_is_as_it_was(dev):
    running = dev()
    running.type("q")
    assert running.wait_end() == 0
    assert running.is_cooked()


@pytest.mark.parametrize("which, status", [
    (signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGQUIT, -signal.SIGQUIT)])
def test_signals_leave_the_terminal_as_it_was(dev, which, status):
    running = dev()
    os.kill(running.process.pid, which)
    assert running.wait_end() == status
    assert running.is_cooked()


def test_interrupt_from_the_keyboard(dev):
    running = dev()
    running.type("\x03")
    assert running.wait_end() == 0
    assert running.is_cooked()


def test_window_that_is_closed(dev):
    running = dev()
    running.hang_up()
    assert running.wait_end() == 0


def test_o_opens_the_page(dev, tmp_path):
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$@" >{seen}.new && mv {seen}.new {seen}\n')
    browser.chmod(0o755)
    running = dev(env={"BROWSER": f"{browser} --new-tab"})
    running.type("o")
    wait_until(seen.exists)
    words = seen.read_text().split()
    assert words[0] == "--new-tab" and words[1].startswith("http://127.0.0.1:")
    running.wait(f"opening {words[1]}")


def test_o_without_a_browser_tells_the_page(dev, tmp_path):
    running = dev(env={"BROWSER": "", "PATH": str(tmp_path)})
    running.type("o")
    running.wait("the page is http://127.0.0.1:")


def test_error_has_a_page_of_its_own_and_is_cleared(dev, app):
    running = dev()
    app.write_text(BROKEN)
    running.wait("still serving version 1")
    shown = running.screen()
    assert "app.lua:" in shown.lines[0] and "listening" not in shown.text(), shown.text()
    assert any(line.startswith("listening ") for line in shown.scrolled), "what was there can be scrolled to"
    assert "\x1b[31m" in running.raw
    app.write_text(GOOD.replace("one", "two"))
    running.wait(r"reloaded\x1b\[0m app\.lua in ")
    text = running.screen().text()
    assert "reloaded app.lua in " in text and "unexpected" not in text and "still serving" not in text, text


def test_no_colours_where_they_are_not_wanted(dev, app):
    running = dev(env={"NO_COLOR": "1"})
    app.write_text(BROKEN)
    running.wait("still serving version 1")
    app.write_text(GOOD.replace("one", "two"))
    running.wait(r"reloaded app\.lua in ")
    assert "\x1b[31m" not in running.raw and "\x1b[32m" not in running.raw


def test_stop_and_foreground(terminal, app):
    """As at a shell: Ctrl-Z, fg, bg."""
    shell = terminal([shutil.which("bash"), "--norc", "--noprofile", "-i"], env={"PS1": "prompt> "})
    shell.wait("prompt> ")
    shell.type(" ".join(f"'{part}'" for part in command_line(app)) + "\n")
    shell.wait("keys ")
    shell.type("r")
    shell.wait("nothing has changed")
    shell.type("\x1a")
    shell.wait("Stopped")
    shell.type("echo at-the-$((6 * 7))-shell\n")
    shell.wait("at-the-42-shell")
    shell.type("fg\n")
    shell.wait("dev", 2)
    shell.type("r")
    shell.wait("nothing has changed", 2)
    shell.type("\x1a")
    shell.wait("Stopped", 2)
    shell.type("bg\n")
    shell.type("echo behind-$((6 * 7))\n")
    shell.wait("behind-42")
    # in the background it goes on serving, and leaves the keys to the shell
    app.write_text(GOOD.replace("one", "two"))
    shell.wait("reloaded")
    shell.type("echo still-$((6 * 7))\n")
    shell.wait("still-42")
    shell.type("fg\n")
    shell.type("r")
    shell.wait("nothing has changed", 3)
    prompts = shell.raw.count("prompt> ")
    shell.type("q")
    shell.wait("prompt> ", prompts + 1)
    shell.type("echo after-$((6 * 7))\n")
    shell.wait("after-42")
    shell.type("stty -a; echo modes-$((6 * 7))\n")
    shell.wait("modes-42")
    assert " icanon" in shell.raw and " echo " in shell.raw
    shell.type("exit\n")
    shell.wait_end()
