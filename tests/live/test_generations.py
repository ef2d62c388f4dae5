"""Generations of an app in one worker, without the rest of a reload: which code gets what, and what becomes of old ones."""

import pytest
from generations import Generations
from peer import PING, PONG, TEXT, frame


@pytest.fixture
def server(tmp_path):
    with Generations(tmp_path) as started:
        yield started


ECHO = """return { ["/"] = { message = function(ws, data) ws:send(version .. data) end } }"""


def says(peer, text):
    peer.text(text)
    return peer.message()


def test_next_message_goes_to_the_new_code(server):
    server.serve(1, ECHO)
    peer = server.open()
    assert says(peer, "a") == "1a"
    server.serve(2, ECHO)
    assert says(peer, "b") == "2b"
    assert says(server.open(), "c") == "2c"
    server.wait_roles(v2="current")
    assert server.do("return { gens[1].role, gens[1].handled, gens[2].handled }") == ["gone", 1, 2]
    peer.end()
    assert server.finish() == []
