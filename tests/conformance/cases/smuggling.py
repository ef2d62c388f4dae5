"""S: requests that two programs might read in two ways, and malformed upgrades. All of ours.

Each is sent with another request behind it, in the same write, and TCP is then half-closed. The upgrade must not
be accepted, and the request behind it must not be answered: what is behind a request that could not be read is no
request (RFC 9112 sections 6.3 and 11.2).
"""

import re

from suite import http
from suite.case import SERVER, Cases
from suite.events import Failure, show

CASES = Cases()
BODY = b"12345"
SECOND = "GET /smuggled HTTP/1.1\r\nHost: second.example\r\n\r\n"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


def judge(answer):
    """At most one answer, which is an error."""
    statuses = [int(code) for code in STATUS.findall(answer)]
    if answer and not statuses:
        raise Failure(f"the answer is no HTTP: {show(answer)}")
    if statuses and statuses[0] < 400:
        raise Failure(f"accepted: {show(answer)}")
    if len(statuses) > 1:
        raise Failure(f"{len(statuses)} answers: {statuses}")


def sent(make):
    async def run(dialer):
        second = SECOND.encode() + dialer.request()
        wire = await dialer.open()
        await wire.send(make(dialer) + second)
        wire.finish()
        judge(await wire.rest())
    return run


def add(name, title, rfc, make):
    CASES.add(f"S.{name}", title, rfc, sent(make), roles=(SERVER,), raw=True)


def fields(*lines, body=b""):
    return lambda dialer: dialer.request(fields=lines) + body


def changed(name, value):
    return lambda dialer: dialer.request(change={name: value})


def line(request_line):
    return lambda dialer: dialer.request(line=request_line)


def replaced(old, new, count=1):
    """The bytes of the usual request with something else in them."""
    def make(dialer):
        data = dialer.request(fields=["X-Field: value"])
        assert old in data
        return data.replace(old, new, count)
    return make


# --- bodies -------------------------------------------------------------------------------------------

LENGTH, ENCODING = "RFC 9112 6.2, 6.3", "RFC 9112 6.1, 6.3"
for i, value in enumerate(("5", "1", "05", "+5", "-1", "0x5", "5 5", "5, 5", "0, 5", "5;", "1e1", "5.0", "five", "",
                           "\xb2",
                           "18446744073709551616", "18446744073709551621", "99999999999999999999999", "4294967301",
                           "/:"), 1):  # the last: -1 and 10, 0 to arithmetic that does not look at the digits
    add(f"length.{i}", f"Content-Length: {value!r}", LENGTH, fields(f"Content-Length: {value}", body=BODY))
add("length.second", "a Content-Length that covers the second request", LENGTH,
    lambda dialer: dialer.request(fields=[f"Content-Length: {len(SECOND)}"]))
add("length.two", "two equal Content-Length above 0", LENGTH,
    fields("Content-Length: 5", "Content-Length: 5", body=BODY))
add("length.differ", "two different Content-Length", LENGTH,
    fields("Content-Length: 0", "Content-Length: 5", body=BODY))
add("length.differ.2", "two different Content-Length, the other way", LENGTH,
    fields("Content-Length: 5", "Content-Length: 0", body=BODY))
add("length.space", "white space before the colon of Content-Length", "RFC 9112 5.1",
    fields("Content-Length : 5", body=BODY))
add("length.plain", "Content-Length and Transfer-Encoding on a request without an upgrade", ENCODING,
    lambda dialer: b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
CHUNKED = b"5\r\n12345\r\n0\r\n\r\n"
for i, value in enumerate(("chunked", "Chunked", "identity", "gzip, chunked", "chunked, gzip", "chunked, chunked",
                           "xchunked", "chunked;x=1",
                           "\tchunked", "chunked\t", "\x0bchunked", "\"chunked\"", ", chunked", ""), 1):
    add(f"encoding.{i}", f"Transfer-Encoding: {value!r}", ENCODING, fields(f"Transfer-Encoding: {value}", body=CHUNKED))
add("encoding.length", "Transfer-Encoding and Content-Length", ENCODING,
    fields("Transfer-Encoding: chunked", "Content-Length: 5", body=CHUNKED))
add("encoding.length.2", "Content-Length and Transfer-Encoding", ENCODING,
    fields("Content-Length: 5", "Transfer-Encoding: chunked", body=CHUNKED))
add("encoding.two", "two Transfer-Encoding fields", ENCODING,
    fields("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=CHUNKED))
add("encoding.space", "white space before the colon of Transfer-Encoding", "RFC 9112 5.1",
    fields("Transfer-Encoding : chunked", body=CHUNKED))
add("encoding.fold", "Transfer-Encoding on a folded line", "RFC 9112 5.2",
    fields("X-Field: x", " Transfer-Encoding: chunked", body=CHUNKED))
add("encoding.empty", "a chunked body of nothing", ENCODING, fields("Transfer-Encoding: chunked", body=b"0\r\n\r\n"))
add("encoding.nul", "a NUL in Transfer-Encoding", "RFC 9110 5.5", fields("Transfer-Encoding: chun\0ked", body=CHUNKED))

# --- lines ----------------------------------------------------------------------------------------------

NEWLINE, FIELD = "RFC 9112 2.2", "RFC 9112 5; RFC 9110 5.5"
add("newline.1", "bare LF at the end of every line", NEWLINE, lambda dialer: dialer.request(eol="\n"))
add("newline.2", "bare CR at the end of every line", NEWLINE, lambda dialer: dialer.request(eol="\r"))
add("newline.3", "a bare LF between two fields", NEWLINE, replaced(b"\r\nX-Field", b"\nX-Field"))
add("newline.4", "a bare CR between two fields", NEWLINE, replaced(b"\r\nX-Field", b"\rX-Field"))
add("newline.5", "a bare LF in a value", NEWLINE, fields("X-Field: a\nb"))
add("newline.6", "a bare CR in a value", NEWLINE, fields("X-Field: a\rb"))
add("newline.7", "CR CR LF", NEWLINE, replaced(b"\r\nX-Field", b"\r\r\nX-Field"))
add("newline.8", "LF CR", NEWLINE, replaced(b"\r\nX-Field", b"\n\rX-Field"))
add("newline.9", "a head that ends with LF LF", NEWLINE, replaced(b"\r\n\r\n", b"\n\n"))
add("newline.10", "a head that ends with CR LF LF", NEWLINE, replaced(b"\r\n\r\n", b"\r\n\n"))
add("newline.11", "a bare CR behind the request line", NEWLINE, replaced(b"HTTP/1.1\r\n", b"HTTP/1.1\r"))
add("newline.12", "a field hidden behind a bare LF", NEWLINE, fields("X-Field: a\nContent-Length: 5", body=BODY))
add("newline.13", "a field hidden behind a bare CR", NEWLINE,
    fields("X-Field: a\rTransfer-Encoding: chunked", body=CHUNKED))
for i, (what, text) in enumerate({
    "a line folded with a space": "X-Field: a\r\n b", "a line folded with a tab": "X-Field: a\r\n\tb",
    "a space before the colon": "X-Field : a", "a tab before the colon": "X-Field\t: a", "no name": ": a",
    "no colon": "X-Field",
    "a space in a name": "X Field: a", "a NUL in a value": "X-Field: a\0b", "a NUL in a name": "X-\0Field: a",
    "0x01 in a value": "X-Field: \1",
    "0x7F in a value": "X-Field: \x7f", "0x1B in a value": "X-Field: \x1b[2J",
    "a byte above 0x7F in a name": "X-F\xefeld: a",
    "a parenthesis in a name": "X-(Field): a", "a slash in a name": "X/Field: a", "quotes in a name": "\"X\": a",
    "a brace in a name": "X{: a",
    "a name of nothing but a space": " : a", "a line of nothing but a space": " ", "an at sign in a name": "X@: a",
}.items(), 1):
    add(f"field.{i}", what, FIELD, fields(text))
add("field.first", "white space before the first field", "RFC 9112 2.2",
    lambda dialer: dialer.request().replace(b"\r\nHost", b"\r\n Host", 1))

# --- request lines ----------------------------------------------------------------------------------------

LINE = "RFC 9112 3"
for i, (what, text) in enumerate({
    "two spaces before the target": "GET  {path} HTTP/1.1", "two spaces behind the target": "GET {path}  HTTP/1.1",
    "a space before the method": " GET {path} HTTP/1.1", "a space at the end": "GET {path} HTTP/1.1 ",
    "tabs": "GET\t{path}\tHTTP/1.1",
    "no version": "GET {path}", "no target": "GET HTTP/1.1", "no method": "{path} HTTP/1.1",
    "HTTP/1.0": "GET {path} HTTP/1.0",
    "HTTP/0.9": "GET {path} HTTP/0.9", "HTTP/2.0": "GET {path} HTTP/2.0", "HTTP/1.2": "GET {path} HTTP/1.2",
    "HTTP/1.10": "GET {path} HTTP/1.10",
    "HTTP/01.1": "GET {path} HTTP/01.1", "HTTP/1.1a": "GET {path} HTTP/1.1a", "http/1.1": "GET {path} http/1.1",
    "HTTP/1,1": "GET {path} HTTP/1,1",
    "HTTP 1.1": "GET {path} HTTP 1.1", "a word behind the version": "GET {path} HTTP/1.1 x",
    "a fragment": "GET {path}#fragment HTTP/1.1",
    "a space in the target": "GET {path}?a b HTTP/1.1", "a byte above 0x7F in the target": "GET {path}?\xe9 HTTP/1.1",
    "a NUL in the target": "GET {path}?\0 HTTP/1.1", "0x7F in the target": "GET {path}?\x7f HTTP/1.1",
    "a target without a slash": "GET x HTTP/1.1",
    "an asterisk": "GET * HTTP/1.1", "a backslash": "GET \\ HTTP/1.1", "a broken escape": "GET /%zz HTTP/1.1",
    "an encoded NUL in the path": "GET /%00 HTTP/1.1", "an encoded slash in the path": "GET /a%2fb HTTP/1.1",
    "a path upwards": "GET /../ HTTP/1.1",
    "an encoded path upwards": "GET /%2e%2e/ HTTP/1.1", "a method that is no token": "G(T {path} HTTP/1.1",
    "an empty line": "",
    "CONNECT": "CONNECT a.example:80 HTTP/1.1", "absolute-form without a host": "GET http:/// HTTP/1.1",
    "absolute-form of another scheme": "GET ftp://a.example/ HTTP/1.1",
    "user information in the target": "GET http://u:p@a.example/ HTTP/1.1",
}.items(), 1):
    add(f"line.{i}", f"request line: {what}", LINE, line(text))

# --- Host ----------------------------------------------------------------------------------------------------

HOST = "RFC 9112 3.2"
for i, value in enumerate((None, ["a.example", "a.example"], ["a.example", "b.example"], "", "user@a.example",
                           "a.example/path", "a example",
                           "a.example:port", "a.example:99999", "a.example:-1", "a.example, b.example",
                           "a.example:80:80", "[::1",
                           "::1", "[::g]", "a.example?x", "a.example#x", "a\xe9.example", "a.example:8 0",
                           "http://a.example"), 1):
    add(f"host.{i}", f"Host: {value!r}", HOST, changed("Host", value))

# --- the fields of the handshake -------------------------------------------------------------------------------

CLIENT_HELLO = bytes.fromhex("16030100310100002d0303") + bytes(32) + bytes.fromhex("000002130101000000")
add("key.two", "two keys", "RFC 6455 11.3.1", changed("Sec-WebSocket-Key", [http.SAMPLE_KEY, http.SAMPLE_KEY]))
add("key.list", "two keys in a field", "RFC 6455 11.3.1",
    changed("Sec-WebSocket-Key", f"{http.SAMPLE_KEY}, {http.SAMPLE_KEY}"))
add("key.short", "a key of 15 bytes", "RFC 6455 4.2.1", changed("Sec-WebSocket-Key", "MTIzNDU2Nzg5MDEyMzQ1"))
add("key.fold", "a key on a folded line", "RFC 9112 5.2", changed("Sec-WebSocket-Key", "dGhlIHNhbXBs\r\n ZSBub25jZQ=="))
add("key.nul", "a NUL behind the key", "RFC 9110 5.5", changed("Sec-WebSocket-Key", http.SAMPLE_KEY + "\0"))
add("version.two", "versions 13 and 8", "RFC 6455 11.3.5", changed("Sec-WebSocket-Version", ["13", "8"]))
add("version.list", "versions in a list", "RFC 6455 4.1", changed("Sec-WebSocket-Version", "13, 8"))
add("protocol.nul", "a NUL in a subprotocol", "RFC 9110 5.5", fields("Sec-WebSocket-Protocol: chat\0x"))
add("protocol.lf", "a bare LF in a subprotocol", NEWLINE, fields("Sec-WebSocket-Protocol: chat\nX-Evil: 1"))
add("extensions.lf", "a bare LF in an extension", NEWLINE, fields("Sec-WebSocket-Extensions: foo\nX-Evil: 1"))
add("upgrade.fold", "Upgrade on a folded line", "RFC 9112 5.2", changed("Upgrade", "web\r\n socket"))
add("method.body", "POST with a body", "RFC 6455 4.2.1",
    lambda dialer: dialer.request(line="POST {path} HTTP/1.1", fields=["Content-Length: 5"]) + BODY)
add("h2", "the preface of HTTP/2", "RFC 9113 3.4", lambda dialer: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
add("tls", "a TLS ClientHello on a plain port", "RFC 9112 3",
    lambda dialer: CLIENT_HELLO + b"\r\n\r\n")
add("noise", "bytes that are nothing", "RFC 9112 3", lambda dialer: bytes(range(256)) * 4 + b"\r\n\r\n")
add("fields.many", "2000 fields", "RFC 6585 5", fields(*(f"X-{i}: {i}" for i in range(2000))))
add("fields.long", "a head of a megabyte", "RFC 6585 5", fields("X-Long: " + "a" * (1 << 20)))
