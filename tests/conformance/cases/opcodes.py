"""4: reserved opcodes. 4.3 and on are ours."""

from suite.case import Cases, failed, talk
from suite.events import Message
from suite.frames import TEXT, Out, cont, ping, text
from suite.peer import OCTETS

CASES = Cases()
RFC = "RFC 6455 5.2"
HELLO = b"Hello, world!"
ECHO = [Message(TEXT, HELLO)]

for group, first in ((1, 3), (2, 11)):
    CASES.add(f"4.{group}.1", f"opcode {first:X}", RFC, talk([Out(first)], end=failed(1002)))
    CASES.add(f"4.{group}.2", f"opcode {first + 1:X} with payload", RFC,
              talk([Out(first + 1, HELLO)], end=failed(1002)))
    CASES.add(f"4.{group}.3", f"text, opcode {first + 2:X}, Ping", RFC,
              talk([text(HELLO), Out(first + 2), ping()], ECHO, failed(1002)))
    CASES.add(f"4.{group}.4", f"text, opcode {first + 3:X} with payload, Ping", RFC,
              talk([text(HELLO), Out(first + 3, HELLO), ping()], ECHO, failed(1002)))
    CASES.add(f"4.{group}.5", f"text, opcode {first + 4:X} with payload, Ping, byte by byte", RFC,
              talk([text(HELLO), Out(first + 4, HELLO), ping()], ECHO, failed(1002), OCTETS))

for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    CASES.add(f"4.3.{opcode:X}", f"opcode {opcode:X} inside a fragmented message", RFC,
              talk([text("a", fin=False), Out(opcode, b"b"), cont("c")], end=failed(1002)))
    CASES.add(f"4.4.{opcode:X}", f"opcode {opcode:X} without FIN, refused from its header", RFC,
              talk([Out(opcode, fin=False, length=100)], end=failed(1002)))
