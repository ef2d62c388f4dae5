"""Chromium before nginx, which ends TLS: the page's origin is https, and what tidewire hears is not."""

import pytest
from proxies import Nginx

OPEN = """
const [url, done] = arguments;
const socket = new WebSocket(url);
socket.onmessage = ({ data }) => { done([data, socket.extensions]); socket.close(); };
socket.onopen = () => socket.send("through nginx ".repeat(50));
socket.onerror = () => done("refused");
"""


@pytest.mark.parametrize("trusted", [True, False])
def test_page_of_https(browser, serve, certificate, tmp_path, trusted):
    server = serve("tests/browser/compression.lua", env={"TIDEWIRE_PROXIES": "127.0.0.1"} if trusted else {})
    nginx = Nginx(tmp_path / "nginx", certificate, {"it": ("tls", f"127.0.0.1:{server.port}")})
    try:
        place = f"localhost:{nginx.ports['it']}"
        browser.switch_to.new_window("tab")
        browser.get(f"https://{place}/")
        browser.expected_errors = None if trusted else "Unexpected response code: 403"
        expected = ["through nginx " * 50, "permessage-deflate"] if trusted else "refused"
        assert browser.execute_async_script(OPEN, f"wss://{place}/takeover") == expected
    finally:
        nginx.stop()
