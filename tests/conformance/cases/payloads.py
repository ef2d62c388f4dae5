"""Data to compress: five kinds, made the same on every run."""

import functools
import json
import random

SIZE = 140_000  # characters or bytes; a little more than the largest message of groups 12 and 13


def _words(seed):
    chance = random.Random(seed)
    syllables = ["ha", "ber", "lö", "sche", "und", "ti", "ge", "wa", "rü", "mor", "lan", "ein", "ste", "kä", "fluß"]
    vocabulary = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(400)]
    while True:
        yield chance.choice(vocabulary)


def _json():
    chance, words, rows, size = random.Random(1), _words(1), [], 0
    while size < SIZE:
        row = json.dumps({"id": chance.getrandbits(40), "name": next(words), "at": chance.random(),
                          "tags": [next(words) for _ in range(3)], "on": chance.random() < 0.5})
        rows.append(row)
        size += len(row) + 1
    return ",".join(rows)


def _bitmap():
    chance = random.Random(2)
    return bytes((x + y) // 4 + chance.getrandbits(2) & 0xFF for y in range(274) for x in range(512))


def _prose():
    words, lines, size = _words(3), [], 0
    while size < SIZE:
        line = " ".join(next(words) for _ in range(9)).capitalize() + ".\n"
        lines.append(line)
        size += len(line)
    return "".join(lines)


def _html():
    words, rows, size = _words(4), [], 0
    while size < SIZE:
        row = f'<li class="{next(words)}"><a href="/{next(words)}">{next(words)} {next(words)}</a></li>\n'
        rows.append(row)
        size += len(row)
    return "".join(rows)


def _mixed():
    """As in a container file: noise, and between it what compresses well."""
    chance, words, pieces, size = random.Random(5), _words(5), [], 0
    while size < SIZE:
        piece = chance.randbytes(chance.randint(500, 4000)) + (next(words) + " 0 R obj\n").encode() * chance.randint(1,
                                                                                                                     60)
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


MAKERS = {"JSON": _json, "a bitmap": _bitmap, "prose": _prose, "HTML": _html, "a mix of noise and text": _mixed}


@functools.cache
def data(kind):
    return MAKERS[kind]()


def messages(kind, size, count):
    """`count` messages of `size` characters or bytes, one behind the other in the data, and around again."""
    source, at = data(kind), 0
    for _ in range(count):
        piece = source[at:at + size]
        if len(piece) < size:
            piece += source[:size - len(piece)]
        at = (at + size) % len(source)
        yield piece.encode() if isinstance(piece, str) else piece
