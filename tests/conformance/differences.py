"""Where a product is known to differ from the RFC, or takes what it forbids: shown, and no failures.

The list is exact: a case that is listed and passes is a failure of the suite.
"""

from fnmatch import fnmatchcase
from typing import NamedTuple


class Difference(NamedTuple):
    cases: tuple  # ids or patterns; every case that one matches differs
    roles: tuple  # of the product
    section: str
    words: str  # of the RFC
    why: str  # what the product does

    def matches(self, case, role):
        return role in self.roles and any(fnmatchcase(case, pattern) for pattern in self.cases)


BOTH, SERVER, CLIENT = ("server", "client"), ("server",), ("client",)


def numbered(prefix, numbers):
    return tuple(f"{prefix}.{n}" for n in numbers)


# npm ws 8.23.0. Where a server of Node is more lenient than RFC 9112, it is Node's HTTP parser that is.
WS = [
    Difference(("2.14",), BOTH, "RFC 6455 5.5.2",
               "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already "
               "received a Close frame.",
               "A thousand Pings in one write are taken for an attack: ws ends TCP when too many Pongs are waiting."),
    Difference((*numbered("6.4", range(1, 5)), "6.27.2"), BOTH, "RFC 6455 5.6",
               "Note that a particular text frame might include a partial UTF-8 sequence; however, the whole message "
               "MUST contain valid UTF-8.",
               "ws judges whole messages; that one cannot be completed is not noticed before its end, as the RFC "
               "allows."),
    Difference(("L.minimal.[12].*",), BOTH, "RFC 6455 5.2",
               "Note that in all cases, the minimal number of bytes MUST be used to encode the length",
               "ws takes lengths in more bytes than they need."),
    Difference(("L.[12].2^63.right", "L.[12].2^64-1.right", "L.*.2^63", "L.*.2^64-1", "L.behind.1"), BOTH,
               "RFC 6455 5.2", "the most significant bit MUST be 0",
               "ws takes it for a very long message: 1009 instead of 1002."),
    Difference(numbered("H.upgrade", (4, 5, 6, 7, 8, 10, 11)), SERVER, "RFC 6455 4.2.1",
               "An |Upgrade| header field containing the value \"websocket\", treated as an ASCII case-insensitive "
               "value.",
               "ws wants it to be the only value."),
    Difference(numbered("H.refuse.version", (1, 2, 4, 5, 6, 7)), SERVER, "RFC 6455 4.2.2",
               "an appropriate HTTP error code (such as 426 Upgrade Required) and a |Sec-WebSocket-Version| header "
               "field",
               "ws answers with 400 and the header, which the RFC leaves open."),
    Difference(("H.refuse.version.3",), SERVER, "RFC 6455 4.2.1",
               "A |Sec-WebSocket-Version| header field, with a value of 13.",
               "ws also speaks version 8, a draft."),
    Difference(numbered("H.refuse.version.odd", (3, 4, 5, 7)), SERVER, "RFC 6455 4.3",
               "Limited to 0-255 range, with no leading zeros",
               "ws takes whatever JavaScript turns into the number 13."),
    Difference(("H.refuse.method.allow",), SERVER, "RFC 9110 15.5.6",
               "The origin server MUST generate an Allow header field in a 405 response",
               "ws does not."),
    Difference(("H.refuse.origin.*",), SERVER, "RFC 6455 10.2",
               "Servers that are not intended to process input from any web page but only for certain sites SHOULD "
               "verify the |Origin| field is an origin they expect.",
               "ws leaves that to the application."),
    Difference(("H.refuse.headers",), SERVER, "RFC 6585 5",
               "The 431 status code indicates that the server is unwilling to process the request because its header "
               "fields are too large.",
               "Node takes 300 fields."),
    Difference(numbered("S.length", (1, 2, 3, 19, "second")), SERVER, "RFC 9110 7.8",
               "A client cannot begin using an upgraded protocol on the connection until it has completely sent the "
               "request message",
               "Node takes the announced body for frames."),
    Difference(numbered("S.encoding", (1, 2, 3, 4, 7, 8, 9, 10, 12, 13, 14, "empty")), SERVER, "RFC 9112 6.3",
               "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not "
               "the final encoding, the message body length cannot be determined reliably; the server MUST respond "
               "with the 400 (Bad Request) status code and then close the connection.",
               "Node takes the body, chunked or not, for frames."),
    Difference(numbered("S.line", (1, 2)), SERVER, "RFC 9112 3",
               "recipients MAY instead parse on whitespace-delimited word boundaries",
               "Node does, as the RFC allows."),
    Difference(numbered("S.line", (6, 9, 10, 11)), SERVER, "RFC 6455 4.2.1",
               "An HTTP/1.1 or higher GET request, including a \"Request-URI\"",
               "ws does not look at the version."),
    Difference(("H.refuse.http",), SERVER, "RFC 9110 15.6.6",
               "The 505 (HTTP Version Not Supported) status code indicates that the server does not support, or "
               "refuses to support, the major version of HTTP that was used in the request message.",
               "ws does not look at the version."),
    Difference(("S.line.36",), SERVER, "RFC 9110 4.2.1",
               "A sender MUST NOT generate an \"http\" URI with an empty host identifier. A recipient that processes "
               "such a URI reference MUST reject it as invalid.",
               "ws does not look at it."),
    Difference(("S.line.38",), SERVER, "RFC 9110 4.2.4",
               "a recipient SHOULD parse for userinfo and treat its presence as an error",
               "ws does not look at it."),
    Difference(("S.host.*",), SERVER, "RFC 9112 3.2",
               "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks "
               "a Host header field and to any request message that contains more than one Host header field line or "
               "a Host header field with an invalid field value.",
               "Node hands an upgrade to ws without looking at Host."),
    Difference(("D.offer.12",), SERVER, "RFC 6455 4.3",
               "This section is using ABNF syntax/rules from Section 2.1 of [RFC2616], including the \"implied *LWS "
               "rule\".",
               "ws wants no white space around the equals sign."),
    Difference(("D.offer.18", "D.offer.19"), SERVER, "RFC 9110 5.6.1.2",
               "A recipient MUST parse and ignore a reasonable number of empty list elements",
               "ws refuses them with 400."),
    Difference((*numbered("D.illegal", (*range(1, 7), 14, 15, *range(18, 22), *range(26, 49))),
                *numbered("D.next", (*range(1, 7), 14, 15, *range(18, 22), *range(26, 49))), "D.fields"), SERVER,
               "RFC 7692 7.1",
               "A server MUST decline an extension negotiation offer for this extension if any of the following "
               "conditions are met",
               "ws refuses the whole handshake with 400, and does not look at the next offer."),
    Difference((*numbered("D.illegal", (*range(7, 14), 16, 17, 22, 23, 24, 25)), *numbered("D.next", range(22, 26))),
               SERVER, "RFC 7692 7.1.2.1",
               "This parameter has a decimal integer value without leading zeroes between 8 to 15, inclusive",
               "ws takes whatever JavaScript turns into such a number."),
    Difference(("D.final.1*", "D.final.2", "D.final.5"), BOTH, "RFC 7692 7.2.1",
               "An endpoint MAY use both DEFLATE blocks with the \"BFINAL\" bit set to 0 and DEFLATE blocks with the "
               "\"BFINAL\" bit set to 1.",
               "ws ends a message at the first such block, and what else its zlib makes of the rest depends on how "
               "it comes in."),
    Difference(("D.bomb.5",), BOTH, "RFC 6455 10.4",
               "Implementations that have implementation- and/or platform-specific limitations regarding the frame "
               "size or total message size after reassembly from multiple frames MUST protect themselves against "
               "exceeding those limits.",
               "ws limits the size of a message, not how much a byte may become; the RFC asks for no more."),
    Difference(("D.bad.[56]*",), BOTH, "RFC 7692 7.2.2",
               "Decompress the resulting data using DEFLATE.",
               "ws takes what it has inflated for the message, though the last block has no end."),
    Difference(numbered("C.line", (1, 2, 3)), CLIENT, "RFC 6455 4.2.2",
               "Such a response could look like \"HTTP/1.1 101 Switching Protocols\".",
               "Node does not look at the version of an answer. HTTP/1.0 has no 101."),
    Difference(("C.protocol.fine.none",), CLIENT, "RFC 6455 4.2.2",
               "if the server does not wish to agree to one of the suggested subprotocols, it MUST NOT send back a "
               "|Sec-WebSocket-Protocol| header field in its response",
               "ws fails the connection when its server agrees to none."),
    Difference(("C.extension.4",), CLIENT, "RFC 7692 6",
               "A client that received a response accepting a PMCE extension negotiation offer together with such an "
               "extension MUST _Fail the WebSocket Connection_.",
               "ws looks at the first of two answers, which both lay claim to RSV1."),
    Difference(("C.extension.two",), CLIENT, "RFC 6455 11.3.2",
               "the |Sec-WebSocket-Extensions| header field MUST NOT appear more than once in an HTTP response.",
               "Node joins the two."),
    Difference(numbered("C.extension", (17, 18, 19, 20, 27, 28)), CLIENT, "RFC 7692 7.1.2.1",
               "This parameter has a decimal integer value without leading zeroes between 8 to 15, inclusive",
               "ws takes whatever JavaScript turns into such a number."),
    Difference(("C.extension.server.*",), CLIENT, "RFC 7692 7.1.2.1",
               "by including the \"server_max_window_bits\" extension parameter in the extension negotiation response "
               "to send back to the client with the same or smaller value as the offer",
               "ws does not compare the answer with what it has asked for."),
    Difference(("C.extension.takeover",), CLIENT, "RFC 7692 7.1.1.1",
               "by including the \"server_no_context_takeover\" extension parameter in the corresponding extension "
               "negotiation response to send back to the client",
               "ws does not compare the answer with what it has asked for."),
    Difference(("C.field.length",), CLIENT, "RFC 9110 8.6",
               "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx "
               "(Informational) or 204 (No Content).",
               "Node's client ignores it."),
    Difference(("C.field.encoding",), CLIENT, "RFC 9112 6.1",
               "A server MUST NOT send a Transfer-Encoding header field in any response with a status code of 1xx "
               "(Informational) or 204 (No Content).",
               "Node's client ignores it."),
]

LISTS = {"ws": WS}


def of(target):
    """The list of a target, empty for one that has none."""
    return LISTS.get(target, [])
