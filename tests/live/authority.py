"""Certificates for these tests, made by openssl(1), and what a peer sees of them."""

import itertools
import pathlib
import shutil
import ssl
import subprocess
from collections import namedtuple

from peer import TlsPeer, connect

Pair = namedtuple("Pair", "cert key")  # paths
NEW_KEYS = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"]}


class Authority:
    """Issues certificates; `file` is its own."""

    def __init__(self, folder, name="Root"):
        self.folder, self.numbers = pathlib.Path(folder), itertools.count(1)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        self._openssl("req", "-x509", "-newkey", *NEW_KEYS["ec"], "-nodes", "-keyout", self.key, "-out", self.file,
                      "-days", "30", "-subj", f"/CN={name}")

    @staticmethod
    def _openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

    def issue(self, *names, subject="/CN=test", kind="ec", days=30):
        """A certificate for DNS names, or of a client (without names); with its key, the paths of both."""
        at = self.folder / str(next(self.numbers))
        pair = Pair(at.with_suffix(".pem"), at.with_suffix(".key"))
        extensions = at.with_suffix(".ext")
        alternative = ",".join(f"DNS:{name}" for name in names)
        extensions.write_text(f"subjectAltName={alternative}\n" if names else "extendedKeyUsage=clientAuth\n")
        request = at.with_suffix(".csr")
        self._openssl("req", "-newkey", *NEW_KEYS[kind], "-nodes", "-keyout", pair.key, "-out", request, "-subj", subject)
        self._openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial",
                      "-extfile", extensions, "-days", days, "-out", pair.cert)
        return pair


def replace(target, source):
    """Puts the files of one pair in the place of another's, each at once."""
    for to, what in zip(target, source):
        fresh = pathlib.Path(f"{to}.fresh")
        shutil.copy(what, fresh)
        fresh.replace(to)


def copy(pair, folder, name="served"):
    """The files of a pair under names of their own, to be replaced later."""
    folder.mkdir(parents=True, exist_ok=True)
    return Pair(*(shutil.copy(path, folder / f"{name}{path.suffix}") for path in pair))


def der(pair):
    """The certificate as a peer gets it."""
    return ssl.PEM_cert_to_DER_cert(pathlib.Path(pair.cert).read_text().strip())


def client_context(own=None, version=None, ciphers=None):
    """Trusts everybody; what is looked at is what comes. own: the pair to show."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if own:
        context.load_cert_chain(*own)
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def dial(url, name="localhost", context=None, session=None):
    """A TLS socket to a listener."""
    return (context or client_context()).wrap_socket(connect(url), server_hostname=name, session=session)


def shown(url, name="localhost", **options):
    """The certificate that a listener shows to whoever asks for a name."""
    with dial(url, name, client_context(**options)) as sock:
        return sock.getpeercert(binary_form=True)


class Dialled(TlsPeer):
    """A peer over a socket of dial()."""

    def __init__(self, sock):
        self.sock, self.kept = sock, b""
