"""npm ws, unmodified. The clients are in clients/, the apps are apps/echo.lua and talk.lua."""

import json
import pathlib
import subprocess

import pytest

ECHO, TALK = "apps/echo.lua", "tests/interop/talk.lua"
CLIENTS = pathlib.Path(__file__).parent / "clients"


def run(client, url, authority):
    command = ["node", CLIENTS / f"{client}.js", url, authority]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def node(certificate):
    """node(client, url) -> what clients/<client>.js has found."""
    def node(client, url):
        done = run(client, url, certificate[0])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return node


def test_echo_of_every_length_and_of_many_at_once(start, node):
    assert node("echo", start(ECHO)) == {
        "single": 14, "crowd": 1000, "wrong": [], "end": {"code": 1000, "reason": ""}}


def test_fragments(start, node):
    result = node("fragments", start(ECHO))
    assert result["wrong"] == []
    # a Ping in the middle of a message is answered there, not after it
    assert result["events"] == [event for name in result["names"] for event in (f"pong {name}", "message")]


def test_pings(start, node):
    result = node("pings", start(TALK))
    assert result["pongs"] == result["payloads"]
    assert result["pings"] == result["payloads"]
    assert result["after"] == "still here"


def end(asked, code):
    """What close(*asked) means; without a code it is the given one."""
    return dict(zip(("code", "reason"), (*asked, *(code, "")[len(asked):])))


def test_closing(start, node):
    result = node("closes", start(TALK))
    assert len(result["client"]) == 15 and len(result["server"]) == 14
    for case in result["client"]:
        asked = end(case["asked"], 1005)
        assert case["there"] == {**asked, "clean": True}, case
        # a server's answer carries the code back, not the reason
        assert case["here"] == {"code": asked["code"], "reason": ""}, case
    for case in result["server"]:
        asked = end(case["asked"], 1000)
        assert case["here"] == asked, case
        # this client sends back what it was sent
        assert case["there"] == {**asked, "clean": True}, case
    assert result["aborted"] == {
        "here": {"code": 1006, "reason": ""}, "there": {"code": 1006, "reason": "", "clean": False}}


def test_subprotocols_and_compression(start, node):
    result = node("offers", start(TALK))
    offer = result["compressed"]["there"].pop("extensions")
    assert offer.startswith("permessage-deflate"), "it was offered"
    assert result == {
        "first": {
            "here": {"protocol": "talk.v2", "extensions": ""},  # the server's order of preference
            "there": {"protocols": ["talk.v1", "talk.v2"], "protocol": "talk.v2", "extensions": None}},
        "second": {
            "here": {"protocol": "talk.v1", "extensions": ""},
            "there": {"protocols": ["other", "talk.v1"], "protocol": "talk.v1", "extensions": None}},
        "nothing": {
            "here": {"protocol": "", "extensions": ""},
            "there": {"protocols": [], "protocol": None, "extensions": None}},
        "unknown": "Server sent no subprotocol",
        "compressed": {
            "here": {"protocol": "", "extensions": ""},
            "there": {"protocols": [], "protocol": None}},
    }


def test_a_thousand_connections_at_once(start, node):
    assert node("crowd", start(ECHO)) == {"echoed": 1000, "open": 1000, "closed": 1000}


@pytest.mark.parametrize("scheme", ["wss"])
def test_the_certificate_is_verified(start, tmp_path):
    """Else the tests over wss would show less than they seem to."""
    nobody = tmp_path / "nobody.pem"
    nobody.write_text("")
    done = run("echo", start(ECHO), nobody)
    assert done.returncode == 1 and "self-signed certificate" in done.stderr
