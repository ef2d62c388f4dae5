"""Servers for the clients of this folder, over ws and over wss."""

import pytest


@pytest.fixture(params=["ws", "wss"])
def scheme(request):
    return request.param


@pytest.fixture
def start(serve, certificate, scheme):
    """start(app) -> the URL of its path "/", once it runs."""
    def start(app):
        cert, key = certificate
        listen = {"ws": "ws://127.0.0.1:0", "wss": f"wss://127.0.0.1:0?cert={cert}&key={key}"}
        return serve(app, listen=[listen[scheme]]).url("/")
    return start
