"""nginx and tinyproxy, run by a test: in the foreground at 127.0.0.1, with all files in a folder of their own."""

import contextlib
import grp
import os
import pwd
import signal
import socket
import subprocess
import time

from tidewire import Output

PATIENCE = 30  # seconds


class _Process:
    """Something that runs in the foreground and ends by SIGTERM."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace", **options)
        self.output = Output(self.process.stdout)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running after SIGTERM\n{self.output.text()}") from None


# --- nginx ----------------------------------------------------------------------------------------

NGINX = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr info;
{user}
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    ssl_certificate {cert}; ssl_certificate_key {key};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection upgrade;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    {http}
}}
stream {{
    ssl_certificate {cert}; ssl_certificate_key {key};
    {stream}
}}
"""


class Nginx(_Process):
    """Servers by name, {name: (kind, target)}, each at a port of its own (`ports`). Kinds and targets:
        plain, tls              HTTP, passed on to "127.0.0.1:PORT" or "unix:PATH"
        stream, stream-tls      TCP, passed on with a PROXY header; TLS is taken off by the latter
    """

    def __init__(self, folder, certificate, servers):
        folder.mkdir()
        self.ports, blocks = {}, {"http": [], "stream": []}
        with contextlib.ExitStack() as stack:
            listeners = []
            for name, (kind, target) in servers.items():
                listeners.append(stack.enter_context(socket.create_server(("127.0.0.1", 0))))
                self.ports[name] = port = listeners[-1].getsockname()[1]
                secure = " ssl" if kind in ("tls", "stream-tls") else ""
                passing = f"proxy_protocol on; proxy_pass {target};" if kind.startswith("stream") else \
                    f"location / {{ proxy_pass http://{target}; }}"
                blocks["stream" if kind.startswith("stream") else "http"].append(
                    f"server {{ listen 127.0.0.1:{port}{secure}; {passing} }}")
            config = folder / "nginx.conf"
            config.write_text(NGINX.format(
                cert=certificate[0], key=certificate[1], user=_user(),
                **{kind: "\n    ".join(lines) for kind, lines in blocks.items()}))
            # these are open already: nginx takes them over as from an older one of itself
            fds = [listener.fileno() for listener in listeners]
            super().__init__(["nginx", "-p", folder, "-c", config, "-e", "stderr"], pass_fds=fds,
                             env={**os.environ, "NGINX": "".join(f"{fd};" for fd in fds)})


def _user():
    """Root's nginx has workers of another user, whom the tests' folders are closed to."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};"


# --- tinyproxy ------------------------------------------------------------------------------------

TINYPROXY = """
Listen 127.0.0.1
Port {port}
Allow 127.0.0.1
LogLevel Connect
Timeout 60
{more}
"""
TRIES = 5


class Tinyproxy(_Process):
    """At `port`. credentials: (user, password) that it wants; only: the one port that it lets others connect to."""

    def __init__(self, folder, credentials=None, only=None):
        folder.mkdir()
        more = [f"BasicAuth {' '.join(credentials)}"] if credentials else []
        more += [f"ConnectPort {only}"] if only else []
        for _ in range(TRIES):  # it binds its port itself, so that another one may be faster
            self.port = _free_port()
            config = folder / "tinyproxy.conf"
            config.write_text(TINYPROXY.format(port=self.port, more="\n".join(more)))
            super().__init__(["tinyproxy", "-d", "-c", config])
            if self._is_ready():
                return
        raise AssertionError(f"tinyproxy does not start\n{self.output.text()}")

    def _is_ready(self):
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
                return True
            time.sleep(0.01)  # it tells nobody
        self.stop()
        return False

    def wait_log(self, text):
        assert self.output.wait(lambda lines: any(text in line for line in lines), PATIENCE), self.output.text()


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
