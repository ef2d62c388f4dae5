"""The suite itself: it must notice what a wrong peer does. `make conformance` runs the cases, pytest runs this."""

import asyncio
import os
import pathlib
import signal
import subprocess
import sys
import time
import zlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from cases import ALL  # noqa: E402
from cases.client import must_end  # noqa: E402
from cases.deflate_offers import far  # noqa: E402
from cases.smuggling import judge  # noqa: E402
from differences import Difference  # noqa: E402
from suite import deflate, frames, http, report  # noqa: E402
from suite.events import Close, Failure, Message, Pong  # noqa: E402
from suite.frames import BINARY, TEXT, Out, close, cont, ping, pong, text  # noqa: E402
from suite.peer import Peer  # noqa: E402
from suite.runner import Result  # noqa: E402


class Script:
    """A wire whose other side sends these bytes and ends TCP."""

    def __init__(self, data, reset=False):
        self.data, self.kept, self.reset, self.sent = data, bytearray(), reset, b""

    async def more(self):
        self.kept += self.data
        data, self.data = self.data, b""
        return bool(data)

    async def take(self, n):
        await self.more()
        taken = bytes(self.kept[:n])
        del self.kept[:n]
        return taken if len(taken) == n else None

    async def send(self, data, _=0):
        self.sent += data

    def finish(self):
        pass


def peer(*sent, is_client=True, params=None, reset=False):
    """The suite's end of a connection whose other end sends these frames, masked as it should be."""
    key = None if is_client else b"\1\2\3\4"
    context = deflate.Context(params, is_client) if params else None
    return Peer(Script(b"".join(item.encode(key) for item in sent), reset), is_client, context)


def fails(coroutine, words=""):
    with pytest.raises(Failure, match=words):
        asyncio.run(coroutine)


MALFORMED = {
    "reserved opcode": [Out(3)], "reserved bit": [text("x", rsv=4)], "masked by a server": [text("x", mask=b"\1\2\3\4")],
    "fragmented Ping": [ping(fin=False)], "long Ping": [ping(b"x" * 126)], "length not minimal": [text("x", width=2)],
    "length not minimal, 8": [text("x" * 200, width=8)], "first bit of the length": [text("", length=1 << 63)],
    "continuation of nothing": [cont("x")], "text inside text": [text("a", fin=False), text("b")],
    "not UTF-8": [text(b"\xff")], "Close of one byte": [Out(8, b"x")], "Close 1005": [close(1005)],
    "Close 999": [close(999)], "reason not UTF-8": [close(1000, b"\xff")], "reserved bit on Close": [close(1000, rsv=1)],
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_malformed_frames_are_noticed(sent):
    fails(peer(*sent).event(), "the peer sent")


def test_an_unmasked_frame_of_a_client_is_noticed():
    fails(peer(text("x", mask=None), is_client=False).event(), "unmasked")


async def pongs_then_finish(p):
    await p.expect_pongs([b"1", b"2"])
    await p.finish()


WRONG = {
    "other text": ([text("y")], lambda p: p.expect(Message(TEXT, b"x"))),
    "other kind": ([Out(BINARY, b"x")], lambda p: p.expect(Message(TEXT, b"x"))),
    "nothing": ([], lambda p: p.expect(Message(TEXT, b"x"))),
    "other Pong": ([pong(b"y")], lambda p: p.expect(Pong(b"x"))),
    "last Pong missing": ([pong(b"1")], lambda p: p.expect_pongs([b"1", b"2"])),
    "Pongs in another order": ([pong(b"2"), pong(b"1"), close(1000)], pongs_then_finish),
    "other code": ([close(1000)], lambda p: p.expect_failed(1002)),
    "no Close": ([], lambda p: p.expect_failed(1002)),
    "Pong before the failure": ([pong(), close(1002)], lambda p: p.expect_failed(1002)),
    "frame behind the failure": ([close(1002), pong()], lambda p: p.expect_failed(1002)),
    "two Close frames": ([close(1000), close(1000)], lambda p: p.expect_closed(1000)),
    "echo behind the Close": ([close(1000), text("x")], lambda p: p.finish()),
    "another reason": ([close(1000, b"a")], lambda p: p.expect_close(1000, reason=b"b")),
}


@pytest.mark.parametrize("sent, wanted", WRONG.values(), ids=WRONG)
def test_wrong_behaviour_is_noticed(sent, wanted):
    fails(wanted(peer(*sent)))


def test_a_reset_is_no_orderly_end():
    fails(peer(close(1000), reset=True).expect_closed(1000), "reset")


def test_right_behaviour_passes():
    asyncio.run(peer(text("x"), close(1000)).expect(Message(TEXT, b"x"), Close(1000, b"")))
    asyncio.run(peer(pong(b"2")).expect_pongs([b"1", b"2"]))
    asyncio.run(peer(close(1002)).expect_failed(1002))


@pytest.mark.parametrize("answer, offer", [
    ("foo", "permessage-deflate"), ("permessage-deflate, permessage-deflate", "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits=9", "permessage-deflate"),
    ("permessage-deflate; server_max_window_bits=11", "permessage-deflate; server_max_window_bits=10"),
    ("permessage-deflate", "permessage-deflate; server_max_window_bits=10"),
    ("permessage-deflate", "permessage-deflate; server_no_context_takeover"),
    ("permessage-deflate; server_max_window_bits=08", "permessage-deflate"),
    ("permessage-deflate; x", "permessage-deflate"), ("permessage-deflate", "foo"), ("permessage-deflate", None),
    ("permessage-deflate", "permessage-deflate; server_max_window_bits=7"),
])
def test_illegal_answers_to_an_offer_are_noticed(answer, offer):
    with pytest.raises(Failure):
        deflate.check_answer(answer, offer)


@pytest.mark.parametrize("bits", range(8, 15))
def test_a_window_that_is_too_large_is_noticed(bits):
    wide = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    packed = (wide.compress(far(bits)) + wide.flush(zlib.Z_SYNC_FLUSH))[:-4]
    context = deflate.Context(deflate.Params(server_bits=bits), is_client=True)
    with pytest.raises(Failure, match="does not inflate"):
        context.decompress(packed, strict=True)


def test_takeover_that_was_not_agreed_is_noticed():
    sender = zlib.compressobj(9, zlib.DEFLATED, -15)
    context = deflate.Context(deflate.Params(server_takeover=False), is_client=True)
    for i in range(2):
        packed = (sender.compress(b"the same text again") + sender.flush(zlib.Z_SYNC_FLUSH))[:-4]
        if i == 0:
            assert context.decompress(packed) == b"the same text again"
    with pytest.raises(Failure):
        context.decompress(packed)


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"garbage",
    b"HTTP/1.1 400 Bad Request\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n",
])
def test_accepted_smuggling_is_noticed(answer):
    with pytest.raises(Failure):
        judge(answer)


def test_a_client_that_goes_on_is_noticed():
    fails(must_end(Script(pong(b"probe").encode(b"\1\2\3\4"))))
    asyncio.run(must_end(Script(close(1002).encode(b"\1\2\3\4"))))


@pytest.mark.parametrize("change", [
    {"Upgrade": None}, {"Upgrade": "h2c"}, {"Connection": "close"}, {"Sec-WebSocket-Accept": None},
    {"Sec-WebSocket-Accept": "x"}, {"Sec-WebSocket-Accept": [http.accept_of(http.SAMPLE_KEY)] * 2},
])
def test_broken_answers_of_a_server_are_noticed(change):
    head = http.parse_head(http.answer(http.SAMPLE_KEY, change=change)[:-4])
    with pytest.raises(Failure):
        http.check_accepted(head, http.SAMPLE_KEY)


@pytest.mark.parametrize("change", [
    {"Host": None}, {"Upgrade": None}, {"Connection": "x"}, {"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": "x"},
    {"Sec-WebSocket-Key": [http.SAMPLE_KEY] * 2},
])
def test_broken_requests_of_a_client_are_noticed(change):
    with pytest.raises(Failure):
        http.check_request(http.parse_head(http.request("a.example", change=change)[:-4]))


def test_the_sample_of_the_rfc():
    assert http.accept_of(http.SAMPLE_KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert frames.text("Hello").encode(bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")


def judged_results(*statuses):
    return [Result(case, case.roles[0], status) for case, status in zip(ALL, statuses)]


def test_a_listed_difference_that_passes_is_a_failure():
    entry = Difference((ALL[0].id, ALL[1].id), ALL[0].roles, "", "", "")
    judged = judged_results("failed", "passed", "failed")
    report.judge_differences(judged, [entry])
    assert [result.status for result in judged] == ["differs", "failed", "failed"]


def test_there_are_enough_cases_and_each_says_where_it_comes_from():
    assert len(ALL) >= 700
    assert len({case.id for case in ALL}) == len(ALL)
    assert all(case.rfc and case.title and case.roles for case in ALL)
    assert sum(case.group == "S" for case in ALL) >= 60


SILENT = """
import pathlib, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
taken = []
while True:
    taken.append(server.accept())
    if len(taken) == 3:
        pathlib.Path(sys.argv[2]).touch()
"""


@pytest.mark.parametrize("whom", ["all", "the suite alone"])
def test_an_interrupt_ends_it_with_one_line(tmp_path, whom):
    """In the middle: its server takes connections and says nothing."""
    (tmp_path / "silent.py").write_text(SILENT)
    run = subprocess.Popen([HERE / "run", "--server-command",
                            f"{sys.executable} {tmp_path}/silent.py {{port}} {tmp_path}/begun"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "begun").exists():
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    if whom == "all":  # as a terminal does
        os.killpg(run.pid, signal.SIGINT)
    else:
        run.send_signal(signal.SIGINT)
    assert run.communicate(timeout=60) == ("", "interrupted\n")
    assert run.returncode == 130
