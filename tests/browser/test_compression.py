"""Chromium and permessage-deflate: what it is told of it, and that frames are compressed in both directions."""

import json

import pytest
from tap import Tap, close_content

# Echoes text and binary messages, each when the one before is back, and then many at once; closes with 4321. Resolves
# to what it saw.
TALK = """
const [url, done] = arguments;
const bytes = (length) => {
    const all = new Uint8Array(length);
    for (let at = 0; at < length; at += 65536) crypto.getRandomValues(all.subarray(at, at + 65536));
    return all;
};
const words = Array.from({ length: 2000 }, () => Array.from(bytes(6), (b) => "tidewiré世🌊"[b % 8]).join(""));
const text = (length) => Array.from({ length: length / 12 }, (_, i) => words[(i * i) % 1999]).join(" ");
const block = bytes(3000), again = new Uint8Array([...block.subarray(1000), ...bytes(400)]);
const sent = [block, again, "", new Uint8Array(0), "short", text(1 << 20), bytes(1 << 20), again,
              ...Array.from({ length: 200 }, (_, i) => `message ${i} `.repeat(i % 9 + 1))];
const wrong = [];
let count = 0;
const same = (a, b) => typeof a === "string" ? a === b
    : b instanceof ArrayBuffer && a.length === b.byteLength && new Uint8Array(b).every((byte, i) => byte === a[i]);
const socket = new WebSocket(url);
socket.binaryType = "arraybuffer";
socket.onopen = () => socket.send(sent[0]);
socket.onmessage = ({ data }) => {
    if (!same(sent[count], data)) wrong.push(count);
    count += 1;
    if (count < 8) socket.send(sent[count]);
    if (count === 8) sent.slice(8).forEach((message) => socket.send(message));
    if (count === sent.length) socket.close(4321, "dône");
};
const length = new TextEncoder().encode(sent[5]).length;
socket.onclose = ({ code, reason, wasClean }) => done({
    extensions: socket.extensions, count, wrong, code, reason, wasClean, length });
"""

CLOSE = """
const [url, begin, done] = arguments;
const socket = new WebSocket(url);
socket.onopen = () => begin.length < 3 ? socket.close(...begin) : socket.send(`close ${begin[1]} ${begin[2]}`);
socket.onclose = ({ code, reason, wasClean }) => done([code, reason, wasClean]);
"""

WELL = {"count": 208, "wrong": [], "code": 4321, "reason": "", "wasClean": True}
NOTHING, SMALL = "permessage-deflate", "server_max_window_bits={0}; client_max_window_bits={0}"
FEW = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
ROUTES = {"none": "", "shared": FEW, "takeover": NOTHING, "small": f"{NOTHING}; {SMALL.format(9)}",
          "least": f"{FEW}; {SMALL.format(8)}"}


@pytest.fixture
def page(browser, serve, certificate):
    """page(scheme) -> the server, with a page of its origin open behind a tap, and the tap."""
    taps = []

    def start(scheme):
        cert, key = certificate
        listen = {"ws": "ws://127.0.0.1:0", "wss": f"wss://127.0.0.1:0?cert={cert}&key={key}"}[scheme]
        server = serve("tests/browser/compression.lua", listen=[listen])
        taps.append(Tap(server.port))
        browser.switch_to.new_window("tab")
        browser.set_script_timeout(60)
        browser.get(taps[0].url("/", {"ws": "http", "wss": "https"}[scheme]))
        return server, taps[0]
    yield start
    for tap in taps:
        tap.close()


def upgraded(tap):
    """The record of the connection that has become a WebSocket: the browser opens others for pages."""
    with tap.changed:
        found, = [record for record in tap.records if b"Upgrade: websocket" in record.up]
    return found.ended()


def told(server, count):
    """How connections have ended for the server: [code, reason, clean] of so many."""
    def ends(lines):
        return [json.loads(line[4:]) for line in lines if line.startswith("end ")]
    assert server.stdout.wait(lambda lines: len(ends(lines)) >= count, 20), server.report()
    return ends(server.stdout.lines)


def sizes(record, down):
    """(compressed, bytes) of each message."""
    out = []
    for frame in record.frames(down):
        if frame.opcode in (1, 2):
            out.append([frame.rsv == 4, 0])
        if frame.opcode <= 2:
            out[-1][1] += len(frame.payload)
    return out


@pytest.mark.parametrize("route", ROUTES)
def test_echo(browser, page, route):
    server, tap = page("ws")
    result = browser.execute_async_script(TALK, tap.url(f"/{route}"))
    length = result.pop("length")
    assert result == {"extensions": ROUTES[route], **WELL}
    assert told(server, 1) == [[4321, "dône", True]]
    record = upgraded(tap)
    assert record.fields(False)["sec-websocket-extensions"] == "permessage-deflate; client_max_window_bits"
    assert record.fields(True).get("sec-websocket-extensions", "") == ROUTES[route]
    assert close_content(record.frames(False)[-1]) == (4321, "dône")
    for down in (False, True):
        found = sizes(record, down)
        assert len(found) == 208
        assert (found[5][1] < length / 2) == found[5][0] == (route != "none")
        assert (found[1][1] < 1000) == (route == "takeover"), "of the second message most was in the first"
    assert sizes(record, True)[4] == [False, 5], "what is short is sent plain"


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_echo_and_close_codes(browser, page, scheme):
    server, tap = page(scheme)
    result = browser.execute_async_script(TALK, tap.url("/takeover", scheme))
    length = result.pop("length")
    assert result == {"extensions": NOTHING, **WELL}
    record = max(tap.records, key=lambda record: len(record.up)).ended()
    assert (1 << 20) < len(record.up) < (1 << 20) + length / 2 + 50_000, "1 MiB of noise, and the text compressed"
    ends = [[4321, "dône", True]]
    for begin in ([], [1000], [1000, "bye"], [3000, ""], [4999, "é" * 61]):
        code, reason = [*begin, *[1005, ""][len(begin):]]
        # a server's answer carries the code back, not the reason
        assert browser.execute_async_script(CLOSE, tap.url("/shared", scheme), begin) == [code, "", True]
        ends.append([code, reason, True])
    for code, reason in (
            (1000, ""), (1001, "away"), (1008, "policy"), (1011, ""), (3000, "registered"), (4999, "é" * 61)):
        begin = ["server", code, reason]
        assert browser.execute_async_script(CLOSE, tap.url("/shared", scheme), begin) == [code, reason, True]
        ends.append([code, reason, True])  # this client sends back what it was sent
    assert told(server, len(ends)) == ends
