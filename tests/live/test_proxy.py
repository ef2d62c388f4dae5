"""Behind proxies: the PROXY protocol, and forwarding headers, from those that are trusted and no others."""

import select
import socket
import ssl
import struct

import pytest
from live import wait_until
from peer import Peer, TlsPeer, connect, handshake, request

APP = """
local function tell(req)
    return ("%s %d %s"):format(req.remote_address, req.remote_port, tostring(req.secure))
end
return tidewire.app { routes = {
    ["/"] = tell,
    ["/ws"] = { open = function(ws) ws:send(tell(ws.request) .. " " .. ws.remote_address) end },
    ["/own"] = { handler = tell, proxy = { "192.0.2.0/24" } },
    ["/none"] = { handler = tell, proxy = false },
    ["/ws-none"] = { handler = { open = function(ws) ws:send(tell(ws.request)) end }, proxy = false },
    ["/ws-own"] = { open = function(ws) ws:send(tell(ws.request)) end, proxy = { "192.0.2.0/24" } },
} }"""

TRUSTED = '{ proxies = { "127.0.0.1", "unix", "10.0.0.0/8" } }'
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source="203.0.113.7", port=4711, family="TCP4", destination="192.0.2.1"):
    return f"PROXY {family} {source} {destination} {port} 443\r\n".encode()


def v2(source="203.0.113.7", port=4711, command=1, tlvs=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, source) + struct.pack(">HH", port, 443)
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    body = addresses + tlvs
    return SIGNATURE + struct.pack(">BBH", 0x20 | command, kind, len(body)) + body


LOCAL = SIGNATURE + struct.pack(">BBH", 0x20, 0x00, 0)
TLS_TO_PROXY = struct.pack(">BHBI", 0x20, 5, 0x01, 0)  # PP2_TYPE_SSL, PP2_CLIENT_SSL


def introduced(live, scheme="ws", query="", config=TRUSTED, **options):
    separator = "&" if query else ""
    return live(APP, config=config, listen=[f"{scheme}://127.0.0.1:0?proxy_protocol=on{separator}{query}"], **options)


# --- the PROXY protocol ----------------------------------------------------------------------------

@pytest.mark.parametrize("header, told", [
    (v1(), b"203.0.113.7 4711 false"),
    (v1("2001:db8::7", family="TCP6", destination="2001:db8::1"), b"2001:db8::7 4711 false"),
    (v1("::ffff:203.0.113.7", family="TCP6", destination="::1"), b"203.0.113.7 4711 false"),
    (v2(), b"203.0.113.7 4711 false"),
    (v2("2001:db8::7", 65535), b"2001:db8::7 65535 false"),
    (v2(tlvs=b"\x04\x00\x03abc"), b"203.0.113.7 4711 false"),
    (v2(tlvs=TLS_TO_PROXY), b"203.0.113.7 4711 true"),
], ids=["v1", "v1-ipv6", "v1-mapped", "v2", "v2-ipv6", "v2-tlv", "v2-tls"])
def test_header_tells_who_the_client_is(live, header, told):
    server = introduced(live)
    with Peer(connect(server.urls[0])) as peer:
        peer.send(header + request())
        assert peer.answer().body == told
        assert peer.ask("/").body == told, "for all requests of the connection"
    peer = server.peer()
    peer.send(header)
    peer.upgrade("/ws")
    assert peer.message() == f"{told.decode()} {told.decode().split()[0]}"


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n", v2(command=0)], ids=["local", "unknown", "local-v2"])
def test_header_without_a_client_leaves_the_peer(live, header):
    server = introduced(live)
    peer = server.peer()
    peer.send(header + request())
    port = peer.sock.getsockname()[1]
    assert peer.answer().body == f"127.0.0.1 {port} false".encode()


@pytest.mark.parametrize("header", [v1(), v2(), v2(tlvs=b"\x04\x00\x80" + bytes(128))], ids=["v1", "v2", "v2-long"])
def test_header_in_pieces(live, header):
    server = introduced(live)
    with Peer(connect(server.urls[0])) as peer:
        peer.send_bytewise(header + request())
        assert peer.answer().body == b"203.0.113.7 4711 false"
    for cut in range(1, len(header), 5):
        peer = server.peer()
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.send(header[:cut])
        peer.send(header[cut:] + request())
        assert peer.answer().body == b"203.0.113.7 4711 false"


@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_tls_behind_the_header(live, certificate, header):
    cert, key = certificate
    server = introduced(live, "wss", f"cert={cert}&key={key}")

    for bytewise in (False, True):
        sock = connect(server.urls[0])
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if bytewise:
            for i in range(len(header)):
                sock.sendall(header[i:i + 1])
        else:
            sock.sendall(header)
        peer = TlsPeer(sock)
        assert peer.ask().body == b"203.0.113.7 4711 true"
        peer.upgrade("/ws")
        assert peer.message() == "203.0.113.7 4711 true 203.0.113.7"
        peer.sock.close()


def test_header_and_the_first_flight_of_tls_in_one_packet(live, certificate):
    cert, key = certificate
    server = introduced(live, "wss", f"cert={cert}&key={key}")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with connect(server.urls[0]) as sock:
        first = v1()

        def talk(step):
            nonlocal first
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    sock.sendall(first + outgoing.read())
                    first = b""
                    incoming.write(sock.recv(1 << 16))
        talk(tls.do_handshake)
        tls.write(request())
        sock.sendall(outgoing.read())
        answer = b""
        while b"true" not in answer:
            answer += talk(lambda: tls.read(1 << 16))
        assert answer.endswith(b"203.0.113.7 4711 true")


def test_unix_socket(live, tmp_path):
    server = live(APP, config=TRUSTED, listen=[f"unix:{tmp_path}/s.sock?proxy_protocol=on"])
    peer = server.peer()
    peer.send(v1() + request())
    assert peer.answer().body == b"203.0.113.7 4711 false"
    peer = server.peer()
    peer.send(LOCAL + request())
    assert peer.answer().body == b"unix 0 false"


@pytest.mark.parametrize("config", [None, '{ proxies = { "10.0.0.0/8", "unix" } }'])
def test_from_anybody_else_nothing_is_read(live, config):
    server = introduced(live, config=config)
    peer = server.peer()
    assert peer.rest() == b"", "closed although nothing was sent"
    server.wait_log(r"warn .*refused a connection: 127\.0\.0\.1 is not among `proxies`, and ws://127\.0\.0\.1:\d+ "
                    "takes the PROXY protocol from these alone")
    for _ in range(20):
        peer = server.peer()
        assert peer.rest() == b""
    assert len(server.wait_log("is not among `proxies`")) <= 3, "a line a second"


@pytest.mark.parametrize("wrong, why", [
    (request(), "no PROXY header"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "no PROXY header"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n", "the line of"),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\n" + request(), "the line of"),
    (b"PROXY TCP4 203.0.113.777 192.0.2.1 4711 443\r\n", "the line of"),
    (b"PROXY " + b"x" * 200, "the line of|too long"),
    (SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12), "another version"),
    (SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12), "another protocol"),
    (SIGNATURE + b"\x21\x11\x00\x04" + bytes(4), "the addresses or the additions"),
    (SIGNATURE + b"\x21\x11\xff\xff" + bytes(600), "too long"),
])
def test_what_is_no_header_ends_the_connection(live, wrong, why):
    server = introduced(live)
    peer = server.peer()
    peer.send(wrong)
    assert peer.rest() == b""
    server.wait_log(f"warn .*refused a connection from 127.0.0.1: .*({why})")


def test_where_it_is_not_asked_for_it_is_no_request(live):
    server = live(APP, config=TRUSTED)
    for header in (v1(), v2()):
        peer = server.peer()
        peer.send(header + request())
        assert peer.answer().status == 400
        assert peer.rest() == b""


@pytest.mark.parametrize("sent", [b"", v1()[:20], v1(), v2()[:13], v2() + b"GET /"])
def test_time_for_the_handshake_counts_from_accept(live, sent):
    server = introduced(live, config='{ proxies = { "127.0.0.1" }, limits = { handshake = 0.3 } }')
    peer = server.peer()
    peer.send(sent)
    rest = peer.rest()
    assert rest.startswith(b"HTTP/1.1 408 ") if len(sent) > 30 else rest == b""


def test_end_and_reset_in_the_midst_of_the_header(live):
    server = introduced(live)
    worker, = server.workers()
    idle = server.descriptors(worker)
    for i in range(20):
        peer = server.peer()
        peer.send(v1()[:10 + i])
        peer.reset() if i % 2 else peer.sock.close()
    wait_until(lambda: server.descriptors(worker) <= idle)
    with Peer(connect(server.urls[0])) as peer:
        peer.send(v1() + request())
        assert peer.answer().status == 200


def has_ended(peer):
    """Of one that waits for nothing but the end."""
    return bool(select.select([peer.sock], [], [], 0)[0])


def test_unfinished_handshakes_are_those_of_the_client(live):
    server = introduced(live, config='{ proxies = { "127.0.0.1" }, limits = { handshakes_per_address = 3 } }')
    unknown = [server.peer() for _ in range(10)]  # the proxy's own are not counted
    peers = [server.peer() for _ in range(6)]
    for peer in peers:
        peer.send(v1("203.0.113.7"))
    wait_until(lambda: sum(map(has_ended, peers)) == 3)
    server.wait_log("warn .*refused a connection from 203.0.113.7: .*handshakes_per_address")
    other = server.peer()
    other.send(v1("203.0.113.8") + request())
    assert other.answer().status == 200
    for peer in peers:
        if not has_ended(peer):
            assert peer.ask().status == 200
    again = server.peer()
    again.send(v1("203.0.113.7") + request())
    assert again.answer().status == 200
    unknown[0].send(v2("203.0.113.9") + request())
    assert unknown[0].answer().status == 200


def test_unfinished_handshakes_of_a_trusted_proxy_are_not_counted(live):
    server = live(APP, config='{ proxies = { "127.0.0.0/8" }, limits = { handshakes_per_address = 3 } }')
    unfinished = [server.peer() for _ in range(10)]
    assert server.peer().ask().status == 200
    assert unfinished[-1].ask().status == 200


def test_drain_ends_connections_without_a_header(live):
    server = introduced(live)
    silent = server.peer()
    with Peer(connect(server.urls[0])) as peer:
        peer.send(v1() + request())
        assert peer.answer().status == 200
        server.process.terminate()
        assert silent.rest() == b""


# --- forwarding headers ----------------------------------------------------------------------------

FORWARDED = [
    (["X-Forwarded-For: 203.0.113.7"], "203.0.113.7 0 false"),
    (["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"], "203.0.113.7 0 true"),
    (["X-Forwarded-For: 198.51.100.1, 203.0.113.7"], "203.0.113.7 0 false"),
    (["X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.7"], "203.0.113.7 0 false"),
    (["X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.2.3"], "203.0.113.7 0 false"),
    (["X-Forwarded-For: 2001:db8::7"], "2001:db8::7 0 false"),
    (["Forwarded: for=203.0.113.7;proto=https"], "203.0.113.7 0 true"),
    (['Forwarded: for="203.0.113.7:4711"'], "203.0.113.7 4711 false"),
    (['Forwarded: for=198.51.100.1, for="[2001:db8::7]:4711";proto=https'], "2001:db8::7 4711 true"),
]


@pytest.mark.parametrize("fields, told", FORWARDED)
def test_forwarded_by_a_trusted_proxy(live, fields, told):
    server = live(APP, config=TRUSTED)
    peer = server.peer()
    assert peer.ask(fields=fields).body.decode() == told
    peer.upgrade("/ws", fields=fields)
    assert peer.message() == f"{told} {told.split()[0]}"


@pytest.mark.parametrize("config", [None, '{ proxies = {} }', '{ proxies = { "10.0.0.0/8", "unix", "::1" } }'])
def test_from_anybody_else_the_headers_are_ignored(live, config):
    server = live(APP, config=config)
    for fields, _ in [*FORWARDED, (["X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.8"], "")]:
        peer = server.peer()
        port = peer.sock.getsockname()[1]
        assert peer.ask(fields=fields).body.decode() == f"127.0.0.1 {port} false"
        peer.upgrade("/ws", fields=fields)
        assert peer.message() == f"127.0.0.1 {port} false 127.0.0.1"


def test_requests_of_one_connection_have_each_their_own_client(live):
    server = live(APP, config=TRUSTED)
    peer = server.peer()
    port = peer.sock.getsockname()[1]
    assert peer.ask(fields=["X-Forwarded-For: 203.0.113.7"]).body == b"203.0.113.7 0 false"
    assert peer.ask(fields=["X-Forwarded-For: 203.0.113.8"]).body == b"203.0.113.8 0 false"
    assert peer.ask().body.decode() == f"127.0.0.1 {port} false"


@pytest.mark.parametrize("path", ["/own", "/none", "/ws-own", "/ws-none"])
def test_a_route_may_trust_others(live, path):
    server = introduced(live)
    trusts = {"/own": "203.0.113.7 0 true", "/none": "192.0.2.9 4711 false"}[path.replace("ws-", "")]
    for source, told in (("192.0.2.9", trusts), ("10.0.0.9", "10.0.0.9 4711 false")):
        peer = server.peer()
        peer.send(v1(source))
        fields = ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"]
        if path.startswith("/ws"):
            peer.upgrade(path, fields=fields)
            assert peer.message() == told
        else:
            assert peer.ask(path, fields=fields).body.decode() == told


def test_behind_the_proxy_protocol_the_client_it_tells_has_to_be_trusted(live):
    server = introduced(live)
    for source, told in (("10.0.0.9", b"203.0.113.7 0 false"), ("198.51.100.1", b"198.51.100.1 4711 false")):
        peer = server.peer()
        peer.send(v1(source))
        assert peer.ask(fields=["X-Forwarded-For: 203.0.113.7"]).body == told


@pytest.mark.parametrize("config, told", [
    (None, b"unix 0 false"), ('{ proxies = { "unix" } }', b"203.0.113.7 0 true"),
    ('{ proxies = { "0.0.0.0/0", "::/0" } }', b"unix 0 false"),
])
def test_unix_peers_are_trusted_when_listed(live, tmp_path, config, told):
    server = live(APP, config=config, listen=[f"unix:{tmp_path}/s.sock"])
    assert server.peer().ask(fields=["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"]).body == told


@pytest.mark.parametrize("origin, fields, status", [
    ("https://test.example", ["X-Forwarded-Proto: https", "X-Forwarded-For: 203.0.113.7"], 101),
    ("http://test.example", ["X-Forwarded-Proto: https", "X-Forwarded-For: 203.0.113.7"], 403),
    ("https://test.example", ["X-Forwarded-Proto: http", "X-Forwarded-For: 203.0.113.7"], 403),
    ("https://test.example", ["Forwarded: for=203.0.113.7;proto=https"], 101),
    ("https://test.example", [], 403),
    ("https://evil.example", ["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"], 403),
    ("https://evil.example", ["Forwarded: for=203.0.113.7;proto=https;host=evil.example"], 403),
])
def test_same_origin_is_judged_by_the_clients_scheme_and_by_host(live, origin, fields, status):
    server = live(APP, config=TRUSTED)
    peer = server.peer()
    peer.send(handshake("/ws", fields=[f"Origin: {origin}", *fields]))
    assert peer.answer().status == status


def test_untrusted_scheme_does_not_count_for_same_origin(live):
    server = live(APP)
    peer = server.peer()
    peer.send(handshake("/ws", fields=["Origin: https://test.example", "X-Forwarded-Proto: https"]))
    assert peer.answer().status == 403


@pytest.mark.parametrize("ask", [request, lambda path, fields: handshake("/ws", fields)], ids=["plain", "upgrade"])
def test_fields_that_contradict_each_other_are_refused(live, ask):
    server = live(APP, config=TRUSTED)
    peer = server.peer()
    peer.send(ask("/", ["X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.8"]))
    answer = peer.answer()
    assert (answer.status, answer.body) == (400, b"the forwarding headers contradict each other\n")
    server.wait_log("refused a request: Forwarded and X-Forwarded-For differ")


def test_trail_that_is_lost_ends_at_who_has_written_it(live):
    server = live(APP, config=TRUSTED)
    for fields in (["X-Forwarded-For: 203.0.113.7, unknown"], ["Forwarded: for=203.0.113.7, for=_hidden"]):
        peer = server.peer()
        assert peer.ask(fields=fields).body.startswith(b"127.0.0.1 ")


def test_proxies_of_the_environment(live):
    server = live(APP, config='{ proxies = { "192.0.2.1" } }', env={"TIDEWIRE_PROXIES": "10.0.0.0/8, 127.0.0.1"})
    assert server.peer().ask(fields=["X-Forwarded-For: 203.0.113.7"]).body == b"203.0.113.7 0 false"


@pytest.mark.parametrize("network, why", [
    ("example.org", "address"), ("10.0.0.1/8", "bits"), ("10.0.0.0/33", "0 to 32"), ("", ""), ("[::1]", ""),
])
def test_networks_are_checked(live, network, why):
    with pytest.raises(AssertionError) as failed:
        live(APP, config=f'{{ proxies = {{ "{network}" }} }}')
    assert f'tidewire.lua: proxies[1]: "{network}": ' in str(failed.value)
    assert why in str(failed.value).lower()
