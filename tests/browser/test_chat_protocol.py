"""The subprotocol of apps/chat, spoken by a client that is no browser: what a page never sends."""

import asyncio
import json

import pytest
import websockets

PROTOCOL = "tidewire.chat.v1"


class Person:
    def __init__(self, socket):
        self.socket = socket

    async def tell(self, **message):
        await self.socket.send(json.dumps(message))

    async def hear(self, kind):
        """The next message, which has to be of this type."""
        message = json.loads(await asyncio.wait_for(self.socket.recv(), 20))
        assert message["type"] == kind, message
        return message

    async def refused(self, code, data=None, **message):
        """Sends what is to be answered by this error; the connection stays. Returns the error."""
        await self.socket.send(json.dumps(message) if data is None else data)
        error = await self.hear("error")
        assert error["code"] == code
        return error


@pytest.fixture
def converse(serve):
    """converse(script) runs script(connect), where connect(room) is a Person's connection."""
    server = serve("apps/chat")

    def run(script):
        people = []

        async def connect(room="lobby", protocols=(PROTOCOL,)):
            # Without a bound on its queue the client reads on, and so closes, whatever a test left unread.
            socket = await websockets.connect(server.url(f"/chat/{room}"), subprotocols=protocols, max_queue=None)
            people.append(socket)
            return Person(socket)

        async def main():
            try:
                await asyncio.wait_for(script(connect), 60)
            finally:
                for socket in people:
                    await socket.close()

        asyncio.run(main())

    return run


def test_the_subprotocol_is_negotiated_and_required(converse):
    async def script(connect):
        person = await connect(protocols=["other", PROTOCOL])
        assert person.socket.subprotocol == PROTOCOL
        for protocols in (None, ["other"]):
            with pytest.raises(websockets.InvalidStatusCode) as refusal:
                await connect(protocols=protocols)
            assert refusal.value.status_code == 400

    converse(script)


@pytest.mark.parametrize("room", ["Lobby", "a%20b", "%23", "+", "x" * 33, "%c3%a9"])
def test_a_room_that_cannot_be_is_refused(converse, room):
    async def script(connect):
        with pytest.raises(websockets.InvalidStatusCode) as refusal:
            await connect(room)
        assert refusal.value.status_code == 404

    converse(script)


def test_bad_messages_are_answered_and_the_connection_stays(converse):
    async def script(connect):
        person = await connect()
        await person.refused("bad_json", data="{")
        await person.refused("bad_json", data="7")
        await person.refused("not_text", data=b"{}")
        await person.refused("unknown_type", type="shout")
        await person.refused("unknown_type")
        assert (await person.refused("not_joined", type="say", text="x", ref="r1"))["ref"] == "r1"
        await person.refused("bad_name", type="join", name="")
        await person.refused("bad_name", type="join", name=["Ada"])
        await person.refused("bad_key", type="join", name="Ada", key="short")
        await person.tell(type="join", name="Ada")
        await person.hear("welcome")
        await person.refused("already_joined", type="join", name="Ada")

    converse(script)


def test_bad_texts_are_answered_and_nobody_hears_them(converse):
    async def script(connect):
        ada, grace = await connect(), await connect()
        await ada.tell(type="join", name="Ada")
        await ada.hear("welcome")
        await grace.tell(type="join", name="Grace")
        await grace.hear("welcome")
        await ada.hear("joined")
        for text in ("", " \n", "x" * 2001, None, 5):
            await ada.refused("bad_text", type="say", text=text)
        await ada.tell(type="say", text="x" * 2000, ref="r1")
        message = await grace.hear("message")
        assert (message["id"], message["name"], message["text"], message["ref"]) == (1, "Ada", "x" * 2000, "r1")

    converse(script)


def test_a_flood_is_answered_with_too_fast(converse):
    async def script(connect):
        ada = await connect()
        await ada.tell(type="join", name="Ada")
        await ada.hear("welcome")
        for number in range(60):
            await ada.tell(type="say", text=f"text {number}")
        answers = [json.loads(await asyncio.wait_for(ada.socket.recv(), 20)) for _ in range(60)]
        kinds = [answer["type"] for answer in answers]
        assert kinds[:11] == ["message"] * 11
        assert {answer["code"] for answer in answers if answer["type"] == "error"} == {"too_fast"}
        answer = {"type": "error"}
        while answer["type"] == "error":  # trying does not put off the time at which it is allowed again
            await ada.tell(type="say", text="at last")
            answer = json.loads(await ada.socket.recv())
        assert answer["text"] == "at last"

    converse(script)


def test_a_lost_connection_is_taken_over_with_its_key(converse):
    async def script(connect):
        ada, grace = await connect(), await connect()
        await ada.tell(type="join", name="Ada", key="a secret")
        await ada.hear("welcome")
        await grace.tell(type="join", name="Grace")
        await grace.hear("welcome")
        again = await connect()
        await again.refused("name_taken", type="join", name="Ada", key="another secret")
        await again.tell(type="join", name="ADA", key="a secret")
        assert (await again.hear("welcome"))["people"] == ["Ada", "Grace"]
        assert (await ada.hear("joined"))["name"] == "Grace"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(ada.socket.recv(), 20)
        assert closed.value.code == 4001
        await again.tell(type="say", text="back")
        assert (await grace.hear("message"))["name"] == "Ada"  # and no notice of leaving or coming before

    converse(script)


def test_a_message_that_is_too_big_closes_with_1009(converse):
    async def script(connect):
        person = await connect()
        await person.tell(type="say", text="x" * 40000)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(person.socket.recv(), 20)
        assert closed.value.code == 1009

    converse(script)


def test_who_enters_hears_the_last_50_messages(converse):
    async def script(connect):
        for talker in range(5):  # each within what one connection may send at once
            person = await connect()
            await person.tell(type="join", name=f"talker {talker}")
            await person.hear("welcome")
            for number in range(11):
                await person.tell(type="say", text=f"text {talker * 11 + number + 1}")
                await person.hear("message")
        grace = await connect()
        await grace.tell(type="join", name="Grace")
        history = (await grace.hear("welcome"))["history"]
        assert [message["text"] for message in history] == [f"text {number}" for number in range(6, 56)]
        assert [message["id"] for message in history] == list(range(6, 56))

    converse(script)
