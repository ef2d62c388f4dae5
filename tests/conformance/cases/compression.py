"""12: permessage-deflate with five kinds of data in 18 sizes. 13: with seven sets of parameters."""

from suite.case import Cases
from suite.events import Message
from suite.frames import BINARY, TEXT

from . import payloads

CASES = Cases()
RFC = "RFC 7692 7.2"
MOST = 50  # messages of a case; fewer of large ones: a megabyte in all

# payload size, and size of the fragments that carry it (0: one frame)
SIZES = [(16, 0), (64, 0), (256, 0), (1024, 0), (4096, 0), (8192, 0), (16384, 0), (32768, 0), (65536, 0), (131072, 0),
         (8192, 256), (16384, 256), (32768, 256), (65536, 256), (131072, 256), (131072, 1024), (131072, 4096),
         (131072, 32768)]


def count(size):
    return max(8, min(MOST, (1 << 20) // size))


def echoes(kind, size, fragment):
    opcode = BINARY if isinstance(payloads.data(kind), bytes) else TEXT

    async def run(peer):
        for data in payloads.messages(kind, size, count(size)):
            await peer.send_message(opcode, data, fragment)
            await peer.expect(Message(opcode, data))
        await peer.finish()
    return run


def answered(*wanted):
    """The answer of the suite as a server: the wanted parameters, with what an offer asks for. client_max_window_bits
    is left out when the client does not offer it (RFC 7692 section 7.1.2.2)."""
    def answer(offered):
        if offered is None:
            return None
        asked = dict(offered)
        out = ["permessage-deflate"]
        if "server_no_context_takeover" in asked:
            out.append("server_no_context_takeover")
        if "server_max_window_bits" in asked:
            out.append(f"server_max_window_bits={asked['server_max_window_bits']}")
        for name, value in wanted:
            if name == "client_max_window_bits" and name not in asked:
                continue
            if name == "client_max_window_bits" and asked[name]:
                value = str(min(int(value), int(asked[name])))
            out.append(f"{name}={value}" if value else name)
        return "; ".join(out)
    return answer


def cases_of(number, what, kind, **options):
    for i, (size, fragment) in enumerate(SIZES, 1):
        pieces = f" in fragments of {fragment}" if fragment else ""
        CASES.add(f"{number}.{i}", f"{what}: {count(size)} messages of {size}{pieces}", RFC,
                  echoes(kind, size, fragment), seconds=60, **options)


for n, kind_of_data in enumerate(payloads.MAKERS, 1):
    cases_of(f"12.{n}", kind_of_data, kind_of_data, profile="deflate",
             offer="permessage-deflate; client_max_window_bits",
             answer=answered(), offers={"compression": True})

ALONE, NINE, FIFTEEN = "no_context_takeover", "max_window_bits=9", "max_window_bits=15"
HINT = "client_max_window_bits"
# what the suite offers as a client, and what it answers as a server
PARAMETERS = [
    ("no parameters", "permessage-deflate", ()),
    ("no takeover", f"permessage-deflate; server_{ALONE}; client_{ALONE}", ((f"client_{ALONE}", None),)),
    ("9 bits", f"permessage-deflate; server_{NINE}; {HINT}", ((HINT, "9"),)),
    ("15 bits", f"permessage-deflate; server_{FIFTEEN}; {HINT}", ((HINT, "15"),)),
    ("no takeover, 9 bits", f"permessage-deflate; server_{ALONE}; server_{NINE}; {HINT}",
     ((f"client_{ALONE}", None), (HINT, "9"))),
    ("no takeover, 15 bits", f"permessage-deflate; server_{ALONE}; server_{FIFTEEN}; {HINT}",
     ((f"client_{ALONE}", None), (HINT, "15"))),
    ("three offers", f"permessage-deflate; server_{ALONE}; server_{NINE}, permessage-deflate; server_{ALONE}, "
                     "permessage-deflate", ((f"server_{ALONE}", None), (f"client_{ALONE}", None), (HINT, "10"))),
]

for n, (words, offer, answer_with) in enumerate(PARAMETERS, 1):
    cases_of(f"13.{n}", words, "JSON", profile="takeover", offer=offer, answer=answered(*answer_with),
             offers={"compression": {"takeover": True}})
