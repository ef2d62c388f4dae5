"""Chromium, an unmodified client, echoes messages of all the lengths at which a frame's form changes."""

import pytest

LENGTHS = (0, 1, 125, 126, 65535, 65536, 1_000_000)

# Sends each length twice, as text of two-byte characters where they fit and as binary of every byte value,
# each when the one before has come back; resolves to what came back differently.
ECHO = """
const [url, lengths, done] = arguments;
const text = (length) => "é".repeat(length >> 1) + "e".repeat(length & 1);
const binary = (length) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);
const sent = lengths.flatMap((length) => [text(length), binary(length)]);
const wrong = [];
let count = 0;
const same = (a, b) =>
    typeof a === "string" ? a === b : b instanceof ArrayBuffer && a.length === b.byteLength
        && new Uint8Array(b).every((byte, i) => byte === a[i]);
const socket = new WebSocket(url);
socket.binaryType = "arraybuffer";
socket.onopen = () => socket.send(sent[0]);
socket.onmessage = ({ data }) => {
    if (!same(sent[count], data)) wrong.push(`message ${count}: ${data.length ?? data.byteLength}`);
    count += 1;
    if (count < sent.length) socket.send(sent[count]);
    else socket.close(1000, "done");
};
socket.onclose = ({ code, wasClean }) => done({ count, wrong, code, wasClean });
"""


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_echo(browser, serve, certificate, scheme):
    cert, key = certificate
    listen = {"ws": "ws://127.0.0.1:0", "wss": f"wss://127.0.0.1:0?cert={cert}&key={key}"}[scheme]
    server = serve("apps/echo.lua", listen=[listen])
    # An answer of the server, here "426, this path is a WebSocket endpoint", gives a page its origin.
    browser.expected_errors = "status of 426"
    browser.switch_to.new_window("tab")
    browser.set_script_timeout(60)
    browser.get(server.url("/", scheme={"ws": "http", "wss": "https"}[scheme]))
    result = browser.execute_async_script(ECHO, server.url("/"), LENGTHS)
    assert result == {"count": 2 * len(LENGTHS), "wrong": [], "code": 1000, "wasClean": True}
