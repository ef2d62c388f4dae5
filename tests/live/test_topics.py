"""Topics within a worker: subscribe, publish, unsubscribe, and what is told to whom."""

import pytest
from peer import BINARY, TEXT

# A message is a line of Lua that is run with ws.
APP = """
return {
    limits = { subscriptions = 3 },
    message = function(ws, line)
        local f = assert(load("local ws, tidewire = ... return " .. line, "=line", "t"))
        local results = table.pack(f(ws, tidewire))
        for i = 1, results.n do results[i] = tostring(results[i]) end
        ws:send("= " .. table.concat(results, " "))
    end,
}
"""


def ask(peer, line):
    peer.text(line)
    answer = peer.message()
    assert answer.startswith("= "), answer
    return answer[2:]


@pytest.mark.parametrize("topic_filter, topic, reached", [
    ("a", "a", True), ("a", "b", False), ("a", "A", False), ("a", "a/b", False),
    ("a/+", "a/b", True), ("a/+", "a", False), ("a/+", "a/b/c", False), ("+/b", "a/b", True),
    ("+/+", "a/b", True), ("+", "a", True), ("+", "a/b", False),
    ("a/#", "a/b", True), ("a/#", "a/b/c", True), ("a/#", "a", False), ("#", "a", True), ("#", "a/b/c", True),
    ("a/+/c", "a/x/c", True), ("a/+/c", "a/x/d", False), ("käse/+", "käse/brot", True),
])
def test_filters(live, topic_filter, topic, reached):
    server = live(APP)
    listener, speaker = server.open(), server.open()
    assert ask(listener, f"ws:subscribe({topic_filter!r})") == "true"
    assert ask(speaker, f"ws:publish({topic!r}, 'news')") == "true"
    if reached:
        assert listener.message() == "news"
    assert ask(listener, "1") == "1", "and nothing else came"


def test_ws_publish_reaches_all_but_the_sender(live):
    server = live(APP)
    peers = [server.open() for _ in range(5)]
    for peer in peers:
        ask(peer, "ws:subscribe('t')")
    ask(peers[0], "ws:publish('t', 'hello')")
    assert [peer.message() for peer in peers[1:]] == ["hello"] * 4


def test_tidewire_publish_reaches_all(live):
    server = live(APP)
    peers = [server.open() for _ in range(3)]
    for peer in peers:
        ask(peer, "ws:subscribe('t')")
    peers[0].text("tidewire.publish('t', 'all')")
    assert sorted([peers[0].message(), peers[0].message()]) == ["= true", "all"]
    assert [peer.message() for peer in peers[1:]] == ["all"] * 2


def test_several_filters_that_match_bring_one_message(live):
    server = live(APP)
    listener, speaker = server.open(), server.open()
    for topic_filter in ("a/b", "a/+", "#"):
        ask(listener, f"ws:subscribe({topic_filter!r})")
    ask(speaker, "ws:publish('a/b', 'once')")
    assert listener.message() == "once"
    assert ask(listener, "1") == "1"


def test_limit_and_repetition(live):
    server = live(APP)
    peer = server.open()
    assert [ask(peer, f"ws:subscribe('{t}')") for t in "abc"] == ["true"] * 3
    assert ask(peer, "ws:subscribe('a')") == "true", "it is there already"
    assert ask(peer, "ws:subscribe('d')") == "nil limit"
    assert ask(peer, "ws:unsubscribe('b')") == "true"
    assert ask(peer, "ws:unsubscribe('b')") == "false"
    assert ask(peer, "ws:subscribe('d')") == "true"
    assert ask(peer, "ws:subscribe('e')") == "nil limit"


def test_unsubscribe_ends_delivery(live):
    server = live(APP)
    listener, speaker = server.open(), server.open()
    ask(listener, "ws:subscribe('a')")
    ask(speaker, "ws:publish('a', '1')")
    assert listener.message() == "1"
    ask(listener, "ws:unsubscribe('a')")
    ask(speaker, "ws:publish('a', '2')")
    assert ask(listener, "1") == "1"


def test_kinds(live):
    server = live(APP)
    listener, speaker = server.open(), server.open()
    ask(listener, "ws:subscribe('a')")
    ask(speaker, "ws:publish('a', '\\xff\\0', { kind = 'binary' })")
    assert listener.frame()[1:] == (BINARY, b"\xff\0")
    ask(speaker, "ws:publish('a', 'x', { kind = 'text' })")
    assert listener.frame()[1:] == (TEXT, b"x")


def test_order_of_sends_and_publications_to_one_connection(live):
    server = live(APP)
    listener, speaker = server.open(), server.open()
    ask(listener, "ws:subscribe('a')")
    own = ask(listener, "ws.id")
    ask(speaker, f"(function() for i = 1, 500 do tidewire.send('{own}', 's' .. i) ws:publish('a', 'p' .. i) end end)()")
    expected = [f"{kind}{i}" for i in range(1, 501) for kind in "sp"]
    assert [listener.message() for _ in range(1000)] == expected


def test_subscriber_that_leaves_is_reached_no_more(live):
    server = live(APP)
    listeners = [server.open() for _ in range(20)]
    speaker = server.open()
    for i, peer in enumerate(listeners):
        ask(peer, "ws:subscribe('a/+')")
        if i % 2:
            peer.end()
        elif i % 4:
            peer.reset()
    assert ask(speaker, "ws:publish('a/b', 'still here')") == "true"
    assert [peer.message() for peer in listeners[::4]] == ["still here"] * 5


def test_slow_subscriber_overflows_alone(live):
    server = live(APP.replace("subscriptions = 3", "message = 1000, send_queue = 200000"))
    fast, slow, speaker = server.open(), server.peer(receive_buffer=4096), server.open()
    slow.upgrade()
    for peer in (fast, slow):
        ask(peer, "ws:subscribe('a')")
    for _ in range(100):
        ask(speaker, "ws:publish('a', ('x'):rep(100000))")
        assert len(fast.message()) == 100000
    while (got := slow.frame()).opcode == TEXT:
        pass
    assert got.payload == b"\x03\xf5reads too slowly"
