"""A stretch of network between a client and a server that a test can break."""

import contextlib
import socket
import threading


class Relay:
    """Listens on a free port of 127.0.0.1 and passes every connection on to another one.

    mute()   what the server says from now on is lost; what the clients say still arrives
    cut()    all connections end without a closing handshake; new ones are passed on, unmuted
    """

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.muted = threading.Event()
        self.lock = threading.Lock()
        self.sockets = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path="/", scheme="ws"):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def mute(self):
        self.muted.set()

    def cut(self):
        with self.lock:
            ended, self.sockets = self.sockets, set()
            for each in ended:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self.muted.clear()

    def close(self):
        self.listener.close()
        self.cut()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
                with self.lock:
                    self.sockets |= {client, server}
                self._join(client, server)

    def _join(self, client, server):
        self._start(client, server, lambda data: data)
        self._start(server, client, lambda data: b"" if self.muted.is_set() else data)

    def _start(self, source, sink, through):
        thread = threading.Thread(target=self._pump, args=(source, sink, through), daemon=True)
        thread.start()
        return thread

    def _pump(self, source, sink, through):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(through(data))
            sink.shutdown(socket.SHUT_WR)  # the other direction may still have something to say
            return
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
