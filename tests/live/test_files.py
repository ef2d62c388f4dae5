"""Static files over the socket: the folder is a wall, and large files are no burden."""

import os
import socket

import pytest
from peer import Lost, request

APP = """
return tidewire.app { routes = {
    ["/"] = tidewire.files "public",
    ["/sub"] = tidewire.files "other",
    ["/api"] = function() return "api" end,
} }
"""
FILES = {
    "public/index.html": "<h1>home</h1>", "public/a.txt": "0123456789", "public/käse brot.txt": "brot",
    "public/folder/index.html": "in folder", "public/folder/b.js": "1", "public/bare/x.txt": "x", "public/empty.txt": "",
    "public/.hidden": "hidden", "public/.git/config": "hidden", "other/c.css": "c", "other/index.html": "other",
    "secret.txt": "secret",
}


@pytest.fixture
def site(live, tmp_path):
    root = tmp_path / "app"
    server = live(APP, files=FILES)
    os.symlink("../secret.txt", root / "public/out.txt")
    os.symlink(str(root / "secret.txt"), root / "public/absolute.txt")
    os.symlink("..", root / "public/up")
    os.symlink("a.txt", root / "public/inside.txt")
    os.mkfifo(root / "public/fifo")
    server.root = root
    return server


def test_files(site):
    peer = site.peer()
    expected = {
        "/": ("<h1>home</h1>", "text/html; charset=utf-8"), "/index.html": ("<h1>home</h1>", "text/html; charset=utf-8"),
        "/a.txt": ("0123456789", "text/plain; charset=utf-8"), "/k%C3%A4se%20brot.txt": ("brot", "text/plain; charset=utf-8"),
        "/folder/": ("in folder", "text/html; charset=utf-8"), "/folder/b.js": ("1", "text/javascript; charset=utf-8"),
        "/inside.txt": ("0123456789", "text/plain; charset=utf-8"), "/empty.txt": ("", "text/plain; charset=utf-8"),
        "/sub/c.css": ("c", "text/css; charset=utf-8"), "/sub/": ("other", "text/html; charset=utf-8"),
        "/api": ("api", "text/plain; charset=utf-8"), "/a.txt?v=1": ("0123456789", "text/plain; charset=utf-8"),
        "/%61.txt": ("0123456789", "text/plain; charset=utf-8"),
    }
    for path, (body, media) in expected.items():
        answer = peer.ask(path)
        assert (answer.status, answer.body.decode(), answer.headers["content-type"]) == (200, body, media), path
        head = peer.ask(path, method="HEAD")
        assert head.status == 200 and head.headers.get("content-length") == answer.headers["content-length"]


@pytest.mark.parametrize("path", [
    "/../secret.txt", "/%2e%2e/secret.txt", "/%2E%2E/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt",
    "/folder/../../secret.txt", "/folder/%2e%2e/%2e%2e/secret.txt", "//secret.txt", "/..//secret.txt", "/.../secret.txt",
    "/..\\secret.txt", "/..%5csecret.txt", "/%252e%252e/secret.txt", "/out.txt", "/absolute.txt", "/up/secret.txt", "/up/app.lua",
    "/a.txt%00.html", "/%00", "/secret.txt", "/../app.lua", "/sub/../secret.txt", "/sub/%2e%2e/secret.txt", "/.hidden",
    "/.git/config", "/folder/.", "/folder/..", "/fifo", "/a.txt/", "/a.txt/x", "/none", "/" + "x" * 300,
    "/" + "x/" * 2000, "/proc/self/environ", "//etc/passwd", "/etc/passwd", "/bare/", "/..;/secret.txt",
    "http://test.example/../secret.txt", "*", "secret.txt",
])
def test_nothing_else(site, path):
    peer = site.peer()
    answer = peer.ask(path)
    assert answer.status in (400, 403, 404), answer
    assert b"secret" not in answer.body and b"hidden" not in answer.body
    assert site.peer().ask("/a.txt").body == b"0123456789"


def test_redirect_to_the_folder(site):
    peer = site.peer()
    answer = peer.ask("/folder?x=1")
    assert (answer.status, answer.headers["location"]) == (301, "/folder/?x=1")
    assert peer.ask("/sub").headers["location"] == "/sub/"
    assert peer.ask("//evil.example/%2e%2e").status in (400, 404)


def test_methods(site):
    answer = site.peer().ask("/a.txt", method="POST", body=b"x")
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD"


def test_conditional_requests(site):
    peer = site.peer()
    first = peer.ask("/a.txt")
    etag, date = first.headers["etag"], first.headers["last-modified"]
    for field, status in ((f"If-None-Match: {etag}", 304), ("If-None-Match: *", 304), ('If-None-Match: "x"', 200),
                          (f"If-Modified-Since: {date}", 304), ("If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT", 200)):
        answer = peer.ask("/a.txt", [field])
        assert answer.status == status, field
        assert answer.headers["etag"] == etag
    (site.root / "public/a.txt").write_text("changed!")
    answer = peer.ask("/a.txt", [f"If-None-Match: {etag}"])
    assert answer.status == 200 and answer.body == b"changed!" and answer.headers["etag"] != etag


@pytest.mark.parametrize("value, status, body, content_range", [
    ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
    ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=5-99999999999999999999", 206, b"56789", "bytes 5-9/10"),
    ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
    ("bytes=10-", 416, b"", "bytes */10"),
    ("bytes=-0", 416, b"", "bytes */10"),
    ("bytes=3-1", 200, b"0123456789", None),
    ("bytes=0-1,3-4", 200, b"0123456789", None),
    ("lines=1-2", 200, b"0123456789", None),
])
def test_ranges(site, value, status, body, content_range):
    peer = site.peer()
    answer = peer.ask("/a.txt", [f"Range: {value}"])
    assert (answer.status, answer.body, answer.headers.get("content-range")) == (status, body, content_range)
    assert peer.ask("/a.txt").body == b"0123456789"


def large(site, size=20 << 20):
    content = os.urandom(1 << 16) * (size >> 16)
    (site.root / "public/large.bin").write_bytes(content)
    return content


def test_large_file_over_a_slow_reader(site):
    content = large(site)
    slow, other = site.peer(receive_buffer=65536), site.peer()
    slow.send(request("/large.bin") + request("/a.txt"))
    got = slow.take(1000)
    for _ in range(100):
        assert other.ask("/a.txt").body == b"0123456789", "others are served meanwhile"
    slow.kept = got + slow.kept
    assert slow.answer().body == content
    assert slow.answer().body == b"0123456789"


def test_memory_does_not_follow_the_file(site):
    with open(site.root / "public/huge.bin", "wb") as file:
        file.truncate(1 << 30)
    peers = [site.peer(receive_buffer=65536) for _ in range(4)]
    for peer in peers:
        peer.send(request("/huge.bin"))
        peer.take(1000)
    assert site.peer().ask("/a.txt").status == 200
    worker, = site.workers()
    pages = int(open(f"/proc/{worker}/statm").read().split()[1])
    assert pages * os.sysconf("SC_PAGESIZE") < 400 << 20


def test_fast_reader_of_a_huge_file(site):
    """Bytes are discarded by the kernel: the socket is seldom full, and the server always at work."""
    size = 256 << 20
    with open(site.root / "public/huge.bin", "wb") as file:
        file.truncate(size)
    peer = site.peer()
    peer.send(request("/huge.bin"))
    while b"\r\n\r\n" not in peer.kept:
        peer._more()
    left = size - len(peer.kept.split(b"\r\n\r\n", 1)[1])
    room = bytearray(1 << 20)
    while left:
        n = peer.sock.recv_into(room, 0, socket.MSG_TRUNC)
        assert n > 0
        left -= n
    assert site.peer().ask("/a.txt").status == 200


def test_file_that_shrinks_while_it_is_sent(site):
    large(site)
    peer = site.peer(receive_buffer=65536)
    peer.send(request("/large.bin") + request("/a.txt"))
    peer.take(1000)
    os.truncate(site.root / "public/large.bin", 1000)
    rest = peer.rest()
    assert len(rest) < 20 << 20 and b"HTTP/1.1" not in rest, "a body that is cut is followed by nothing"
    assert site.peer().ask("/a.txt").status == 200


def test_reader_that_goes_in_the_middle(site):
    large(site)
    for i in range(10):
        peer = site.peer(receive_buffer=65536)
        peer.send(request("/large.bin"))
        peer.take(1000)
        peer.reset() if i % 2 else peer.sock.close()
    assert site.peer().ask("/a.txt").status == 200
    with pytest.raises(Lost):
        peer = site.peer()
        peer.send(request("/large.bin", ["Connection: close"]))
        peer.take(1000)
        site.process.terminate()
        while True:
            peer.take(1 << 16)
