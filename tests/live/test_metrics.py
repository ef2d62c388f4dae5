"""What is counted, on the page in the format of Prometheus that the control socket gives."""

import os
import re
import signal

from live import wait_until
from test_control import ask, code_of

APP = """
return {
    message = function(ws, data)
        if data == "raise" then error "told to" end
        ws:send(data)
    end,
    error = function(ws) ws:send("raised") end,
}
"""

SAMPLE = re.compile(r'([a-z_:]+)(?:\{((?:[a-z_]+="[^"\\\n]*",?)+)\})? (\S+)')


class Page:
    """A page, read strictly: each family once, with HELP and TYPE before its samples, and no sample twice."""

    def __init__(self, text):
        assert text.endswith("\n")
        self.types, self.samples = {}, {}
        family = helped = None
        for line in text.splitlines():
            word, _, rest = line.partition(" ")[2].partition(" ")
            name = rest.partition(" ")[0]
            if line.startswith("# HELP "):
                assert name not in self.types and rest.partition(" ")[2], line
                helped = name
            elif line.startswith("# TYPE "):
                family = name
                assert helped == family and family not in self.types, line
                self.types[family] = rest.partition(" ")[2]
            else:
                self._read_sample(line, family)
            assert word or not line.startswith("#"), line

    def _read_sample(self, line, family):
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        suffixes = ("_bucket", "_sum", "_count") if self.types[family] == "histogram" else ("",)
        assert name in [family + suffix for suffix in suffixes], line
        key = (name, frozenset((labels or "").rstrip(",").split(",")) if labels else frozenset())
        assert key not in self.samples, line
        self.samples[key] = float(value)

    def get(self, name, **labels):
        return self.samples.get((name, frozenset(f'{label}="{value}"' for label, value in labels.items())))

    def all(self, name):
        """{labels: value} of all samples with this name."""
        return {labels: value for (one, labels), value in self.samples.items() if one == name}


def page_of(server):
    answer = ask(server, "metrics")
    assert answer["ok"], answer
    return Page(answer["metrics"])


def rewrite(server, source):
    app = server.command[server.command.index("run") + 1]
    with open(app, "w", encoding="utf-8") as file:
        file.write(source)
    return ask(server, "reload")


def test_calls_are_counted_by_their_result(live):
    server = live(APP)
    peer = server.open()
    for _ in range(5):
        peer.text("hello")
        peer.message()
    for _ in range(2):
        peer.text("raise")
        assert peer.message() == "raised"
    page = page_of(server)
    assert page.types["tidewire_handler_calls_total"] == "counter"
    assert page.get("tidewire_handler_calls_total", worker="0", result="ok") >= 5
    assert page.get("tidewire_handler_calls_total", worker="0", result="failed") == 2


def test_what_there_is(live):
    server = live(APP, "--workers", "2")
    peers = [server.open() for _ in range(10)]
    page = page_of(server)
    connections = page.all("tidewire_connections")
    assert sum(connections.values()) == len(peers)
    assert all('version="1"' in labels for labels in connections)
    for worker in ("0", "1"):
        assert page.get("tidewire_generations", worker=worker) == 1
    assert page.get("tidewire_workers", state="ready") == 2
    assert page.get("tidewire_workers", state="starting") == page.get("tidewire_workers", state="down") == 0
    assert page.types["tidewire_uptime_seconds"] == "gauge" and 0 <= page.get("tidewire_uptime_seconds") < 600
    assert page.types["tidewire_worker_restarts_total"] == "counter" and page.get("tidewire_worker_restarts_total") == 0


def test_reloads_by_what_came_of_them(live):
    server = live(APP, "--workers", "2")
    assert rewrite(server, "return { message = function(ws) ws:send('new') end }")["ok"]
    assert ask(server, "reload")["unchanged"]
    assert not rewrite(server, "return {")["ok"]
    assert not rewrite(server, "error 'at the end'")["ok"]
    assert ask(server, "rollback")["ok"]
    page = page_of(server)
    counts = {result: page.get("tidewire_reloads_total", result=result)
              for result in ("committed", "unchanged", "refused", "rolled_back")}
    assert counts == {"committed": 1, "unchanged": 1, "refused": 2, "rolled_back": 1}


def test_phases_and_pause_of_a_reload(live):
    server = live(APP, "--workers", "2")
    page = page_of(server)
    assert page.get("tidewire_reload_pause_seconds_count", worker="0") == 0
    assert not page.all("tidewire_reload_phase_seconds_count")
    for number in (1, 2, 3):
        assert rewrite(server, f"return {{ message = function(ws) ws:send('{number}') end }}")["ok"]
        page = page_of(server)
        for worker in ("0", "1"):
            assert page.get("tidewire_reload_pause_seconds_count", worker=worker) == number
            for phase in ("compile", "load", "contract", "state", "commit"):
                assert page.get("tidewire_reload_phase_seconds_count", worker=worker, phase=phase) == number, phase
                assert page.get("tidewire_reload_phase_seconds_sum", worker=worker, phase=phase) < 60
    buckets = page.all("tidewire_reload_pause_seconds_bucket")
    assert page.types["tidewire_reload_pause_seconds"] == "histogram"
    assert {value for labels, value in buckets.items() if 'le="+Inf"' in labels} == {3}


def test_connections_by_version(live):
    server = live(APP)
    peer = server.open()
    assert rewrite(server, "return { message = function(ws) ws:send('new') end }")["ok"]
    peer.text("hello")
    assert peer.message() == "new"
    assert page_of(server).get("tidewire_connections", worker="0", version="2") == 1


def test_calls_held_by_a_barrier(live):
    """One handler is under way, so that what comes meanwhile for other connections waits."""
    source = """
    return tidewire.app { state_version = %d, migrate = function(old) return old end, routes = { ["/"] = {
        message = function(ws, data)
            if data == "wait" then note "waits" tidewire.sleep(1) end
            ws:send(data)
        end,
    } } }
    """
    server = live(source % 1)
    slow, other = server.open(), server.open()
    slow.text("wait")
    server.wait_notes("waits")
    prelude = open(server.command[server.command.index("run") + 1], encoding="utf-8").read().split("return tidewire")[0]
    answer = rewrite(server, prelude + source % 2)
    assert answer["ok"], answer
    other.text("hello")
    assert other.message() == "hello" and slow.message() == "wait"
    page = page_of(server)
    assert page.get("tidewire_reload_held_total", worker="0") == answer["held"]
    assert page.get("tidewire_reload_phase_seconds_count", worker="0", phase="barrier") == 1
    assert page.get("tidewire_reload_phase_seconds_count", worker="0", phase="migrate") == 1


def test_restarts(live):
    server = live(APP, "--workers", "2")
    os.kill(server.workers()[0], signal.SIGKILL)
    wait_until(lambda: page_of(server).get("tidewire_worker_restarts_total") == 1)
    wait_until(lambda: page_of(server).get("tidewire_workers", state="ready") == 2)


def test_a_worker_that_does_not_answer_is_left_out(live):
    server = live(APP, "--workers", "2")
    stopped = server.workers()[0]
    before = page_of(server)
    assert len(before.all("tidewire_generations")) == 2
    os.kill(stopped, signal.SIGSTOP)
    try:
        page = page_of(server)
        assert len(page.all("tidewire_generations")) == 1
        assert page.get("tidewire_workers", state="ready") == 2
        assert len(page_of(server).all("tidewire_generations")) == 1
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: len(page_of(server).all("tidewire_generations")) == 2)


def test_several_ask_at_once(live):
    server = live(APP, "--workers", "2")
    from test_control import socket_of, talk
    line = b'{"v":1,"command":"metrics"}'
    for answer in talk(socket_of(server), line, b'{"v":1,"command":"status"}', line):
        assert answer["ok"]
    assert code_of(ask(server, "metric")) == "command"
