"""permessage-deflate of RFC 7692: the parameters of section 7.1 and the payloads of section 7.2."""

import re
import zlib
from dataclasses import dataclass

from .events import Failure

NAME = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
BITS = re.compile(r"[89]|1[0-5]")
ELEMENT = re.compile(rf'\s*({TOKEN})\s*((?:;\s*{TOKEN}\s*(?:=\s*(?:{TOKEN}|"{TOKEN}")\s*)?)*)(?:,|$)')
EMPTY = re.compile(r"\s*,")
PARAMETER = re.compile(rf';\s*({TOKEN})\s*(?:=\s*(?:({TOKEN})|"({TOKEN})"))?')


def parse(value):
    """The extensions of a Sec-WebSocket-Extensions value (RFC 6455 section 9.1): [(name, [(parameter, value)])]."""
    found, at = [], 0
    while at < len(value):
        empty = EMPTY.match(value, at)  # a list may have empty elements (RFC 9110 section 5.6.1.2)
        if empty:
            at = empty.end()
            continue
        element = ELEMENT.match(value, at)
        if not element:
            raise Failure(f"Sec-WebSocket-Extensions {value!r} does not follow the grammar of RFC 6455 section 9.1")
        found.append((element.group(1), [(name, plain or quoted or None)
                                         for name, plain, quoted in PARAMETER.findall(element.group(2))]))
        at = element.end()
    return found


@dataclass(frozen=True)
class Params:
    """What is agreed: each side's window, and whether it is kept from message to message."""

    server_takeover: bool = True
    client_takeover: bool = True
    server_bits: int = 15
    client_bits: int = 15


def read_params(pairs):
    """The parameters of one element as a dictionary; raises Failure when RFC 7692 section 7.1 forbids them in
    an answer."""
    known = {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits",
             "client_max_window_bits"}
    out = {}
    for name, value in pairs:
        if name not in known or name in out:
            raise Failure(f"parameter {name} is unknown or there twice (RFC 7692 section 7.1)")
        if name.endswith("takeover") and value is not None:
            raise Failure(f"{name} has a value (RFC 7692 section 7.1.1)")
        if name.endswith("bits") and not (value and BITS.fullmatch(value)):
            raise Failure(f"{name}={value} is no whole number from 8 to 15 (RFC 7692 section 7.1.2)")
        out[name] = value
    return out


def read_offer(name, pairs):
    """An offer's parameters, or None when it is none of permessage-deflate or must be declined. The one
    difference to an answer: client_max_window_bits may be without a value (section 7.1.2.2)."""
    if name != NAME:
        return None
    hint = ("client_max_window_bits", None)
    try:
        params = read_params([pair for pair in pairs if pair != hint])
    except Failure:
        return None
    if hint in pairs:
        if hint[0] in params or pairs.count(hint) > 1:
            return None
        params[hint[0]] = None
    return params


def agreed(answer):
    """The Params that a legal answer says."""
    return Params("server_no_context_takeover" not in answer, "client_no_context_takeover" not in answer,
                  int(answer.get("server_max_window_bits", 15)), int(answer.get("client_max_window_bits", 15)))


def answers_offer(answer, offer):
    """Why the answer's parameters do not accept this offer's, or None when they do (RFC 7692 section 7.1)."""
    if "server_no_context_takeover" in offer and "server_no_context_takeover" not in answer:
        return "server_no_context_takeover was asked for and is not in the answer (7.1.1.1)"
    if "server_max_window_bits" in offer:
        wanted, got = int(offer["server_max_window_bits"]), answer.get("server_max_window_bits")
        if got is None or int(got) > wanted:
            return f"server_max_window_bits={wanted} was asked for and {got} answered (7.1.2.1)"
    if "client_max_window_bits" in answer and "client_max_window_bits" not in offer:
        return "client_max_window_bits was not offered (7.1.2.2)"
    return None


def check_answer(value, offer_value):
    """Params of a server's answer to our offer, None without an answer. Raises Failure when it is illegal."""
    if value is None:
        return None
    elements = parse(value)
    if len(elements) != 1 or elements[0][0] != NAME:
        raise Failure(f"the answer {value!r} accepts what was not offered, or more than once")
    answer = read_params(elements[0][1])
    reasons = []
    for name, pairs in parse(offer_value or ""):
        offer = read_offer(name, pairs)
        if offer is None:
            continue
        why = answers_offer(answer, offer)
        if why is None:
            return agreed(answer)
        reasons.append(why)
    raise Failure(f"the answer {value!r} accepts none of the offers: {'; '.join(reasons) or 'there was none'}")


class Context:
    """Both directions of one endpoint's compression."""

    def __init__(self, params, is_client):
        self.params = params
        ours = (params.client_bits, params.client_takeover)
        theirs = (params.server_bits, params.server_takeover)
        (self.out_bits, self.out_takeover), (self.in_bits, self.in_takeover) = \
            (ours, theirs) if is_client else (theirs, ours)
        self.compressor = self.decompressor = None

    def compress(self, data, flush=zlib.Z_SYNC_FLUSH, level=6):
        """A message's payload. zlib writes no raw window of 8 bits: runs alone stay in any window."""
        if self.compressor is None or not self.out_takeover:
            strategy = zlib.Z_RLE if self.out_bits == 8 else zlib.Z_DEFAULT_STRATEGY
            self.compressor = zlib.compressobj(level, zlib.DEFLATED, -max(self.out_bits, 9), 9, strategy)
        packed = self.compressor.compress(data) + self.compressor.flush(flush)
        return packed[:-4] if packed.endswith(TAIL) else packed

    def decompress(self, payload, strict=False):
        """A message's content. strict: byte by byte, so that a distance outside of the agreed window is
        an error also where zlib still has the bytes."""
        if self.decompressor is None or not self.in_takeover:
            self.decompressor = zlib.decompressobj(-self.in_bits)
        try:
            return self._strict(payload + TAIL) if strict else self.decompressor.decompress(payload + TAIL)
        except zlib.error as error:
            raise Failure(f"the compressed message does not inflate with a window of {self.in_bits} bits, context "
                          f"takeover {self.in_takeover}: {error}") from None

    def _strict(self, payload):
        out = bytearray()
        for i in range(0, len(payload), 32):
            piece = payload[i:i + 32]
            while True:
                one = self.decompressor.decompress(piece, 1)
                out += one
                piece = self.decompressor.unconsumed_tail
                if not one and not piece:
                    break
        return bytes(out)
