"""3: reserved bits without an extension that has a meaning for them. 3.8 and on are ours."""

from suite.case import Cases, failed, talk
from suite.events import Message
from suite.frames import TEXT, Out, binary, close, cont, ping, text
from suite.peer import FRAMES, OCTETS

CASES = Cases()
RFC = "RFC 6455 5.2"
HELLO = b"Hello, world!"
ECHO = [Message(TEXT, HELLO)]


def after_echo(rsv, chop):
    return talk([text(HELLO), text(HELLO, rsv=rsv), ping()], ECHO, failed(1002), chop)


CASES.add("3.1", "text with RSV3", RFC, talk([text(HELLO, rsv=1)], end=failed(1002)))
CASES.add("3.2", "text, text with RSV2, Ping", RFC, after_echo(2, 0))
CASES.add("3.3", "text, text with RSV2 and RSV3, Ping, frame by frame", RFC, after_echo(3, FRAMES))
CASES.add("3.4", "text, text with RSV1, Ping, byte by byte", RFC, after_echo(4, OCTETS))
CASES.add("3.5", "binary with RSV1 and RSV3", RFC, talk([binary(HELLO, rsv=5)], end=failed(1002)))
CASES.add("3.6", "Ping with RSV1 and RSV2", RFC, talk([ping(HELLO, rsv=6)], end=failed(1002)))
CASES.add("3.7", "Close with all three", RFC, talk([close(rsv=7)], end=failed(1002)))

NAMES = {0: "continuation", 1: "text", 2: "binary", 8: "Close", 9: "Ping", 10: "Pong"}
for opcode, name in NAMES.items():
    for rsv in range(1, 8):
        begin = [text("a", fin=False)] if opcode == 0 else []
        CASES.add(f"3.8.{opcode:x}.{rsv}", f"{name} with reserved bits {rsv:03b}", RFC,
                  talk([*begin, Out(opcode, b"", rsv=rsv), ping()], end=failed(1002)))
CASES.add("3.9.1", "reserved bits are refused from the header: the payload never comes", RFC,
          talk([text(b"", rsv=4, length=5)], end=failed(1002)))
CASES.add("3.9.2", "reserved bit in the middle of a fragmented message", RFC,
          talk([text("a", fin=False), cont("b", fin=False, rsv=2), cont("c")], end=failed(1002)))
