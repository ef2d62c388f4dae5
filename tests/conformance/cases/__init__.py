"""All cases, in the order of their groups."""

from . import (client, closing, compression, deflate_data, deflate_offers, fragments, framing, handshake, lengths,
               opcodes, pings, reserved, sizes, smuggling, utf8)

ALL = [case for module in (framing, pings, reserved, opcodes, fragments, utf8, closing, sizes, compression, handshake,
                           smuggling, lengths, deflate_offers, deflate_data, client) for case in module.CASES]

