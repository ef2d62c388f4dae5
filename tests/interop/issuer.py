"""Certificates of all kinds, good and bad, made by openssl(1)."""

import pathlib
import subprocess
from collections import namedtuple

Pair = namedtuple("Pair", "cert key")  # paths; cert may be a chain

KEYS = {
    "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"], "short": ["rsa:1024"],
}
CONFIG = """
[ca]
default_ca = one
[one]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = optional
organizationName = optional
"""
FROM, UNTIL = "20200101000000Z", "20990101000000Z"
CA = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign"
SERVER = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr


class Issuer:
    """An authority with a certificate of its own, `cert`; `pem` is its text."""

    def __init__(self, folder, pair):
        self.folder, self.pair = pathlib.Path(folder), pair
        (self.folder / "index").touch()
        self.config = self.folder / "config"
        self.config.write_text(CONFIG.format(folder=self.folder))
        self.cert, self.pem = pair.cert, pair.cert.read_text()

    @classmethod
    def root(cls, folder, name, key="ec"):
        folder.mkdir(parents=True)
        pair = Pair(folder / "ca.pem", folder / "ca.key")
        _openssl("req", "-x509", "-newkey", *KEYS[key], "-nodes", "-keyout", pair.key, "-out", pair.cert, "-days", 30,
                 "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        return cls(folder, pair)

    def issue(self, name, extensions=SERVER, start=FROM, end=UNTIL, key="ec", digest="sha256", subject=None, chain=""):
        """A certificate with a key of its own, in files named so; `chain` follows it in its file."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, added = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        added.write_text(f"{extensions}\n")
        _openssl("req", "-newkey", *KEYS[key], "-nodes", "-keyout", pair.key, "-out", request,
                 "-subj", subject or f"/CN={name}")
        _openssl("ca", "-config", self.config, "-cert", self.pair.cert, "-keyfile", self.pair.key, "-batch", "-notext",
                 "-in", request, "-out", pair.cert, "-extfile", added, "-startdate", start, "-enddate", end,
                 "-md", digest)
        with open(pair.cert, "a") as file:
            file.write(chain)
        return pair

    def below(self, name, extensions=CA, **options):
        """An authority that this one vouches for."""
        folder = self.folder / f"below-{name}"
        folder.mkdir()
        return Issuer(folder, self.issue(name, extensions, **options))


def self_signed(folder, extensions=SERVER):
    pair = Pair(folder / "own.pem", folder / "own.key")
    _openssl("req", "-x509", "-newkey", *KEYS["ec"], "-nodes", "-keyout", pair.key, "-out", pair.cert, "-days", 30,
             "-subj", "/CN=localhost", "-addext", extensions)
    return pair
