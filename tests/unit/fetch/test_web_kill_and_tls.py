"""A download whose process is killed in the middle, and one over real TLS."""

import datetime
import ipaddress
import os
import random
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from web_server import Behaviour, serve

from mmicl.errors import UserError
from mmicl.fetch import Manifest, partial
from mmicl.fetch.limits import TRUSTED_VARIABLE

Fetch = Callable[..., Manifest]
CONTENT = random.Random(0).randbytes(2_000_000)
CHILD = """
import sys
from pathlib import Path
from mmicl.fetch import fetch_dataset, partial
partial.PART = 100_000
root = Path(sys.argv[1])
fetch_dataset(sys.argv[2], root / "root/data/raw/coco", licence="CC0-1.0", state=root / "state",
              root=root / "root", generate=lambda *_: None)
"""


@pytest.mark.slow
def test_a_killed_download_goes_on_without_loss(
    fetch: Fetch,
    raw: Path,
    web: tuple[str, Behaviour],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, server = web
    server.files["/coco.bin"], server.block, server.delay = CONTENT, 10_000, 0.005
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), f"{address}/coco.bin"], env=dict(os.environ)
    )
    deadline = time.monotonic() + 120
    while server.sent < 750_000:
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not raw.exists()
    server.delay, server.requests = 0.0, []
    monkeypatch.setattr(partial, "PART", 100_000)
    fetch(f"{address}/coco.bin")
    assert (raw / "coco.bin").read_bytes() == CONTENT
    first = next(asked for _, asked in server.requests[1:] if asked)
    assert int(first.removeprefix("bytes=").partition("-")[0]) >= 600_000
    assert not list(tmp_path.glob("state/downloads/*/files/*.part*"))


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Behaviour, Path]]:
    """A web server with a certificate of its own making, and the file of that certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "certificate.pem").write_bytes(certificate)
    (tmp_path / "both.pem").write_bytes(secret + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    with serve(context) as (url, behaviour):
        monkeypatch.setenv(TRUSTED_VARIABLE, "127.0.0.1")
        yield url, behaviour, tmp_path / "certificate.pem"


def test_https_checks_the_certificate(
    fetch: Fetch,
    raw: Path,
    tls: tuple[str, Behaviour, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, server, certificate = tls
    server.files["/coco.bin"] = CONTENT
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(
        UserError, match=r"the certificate does not hold.*name its authority in SSL"
    ):
        fetch(f"{address}/coco.bin")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fetch(f"{address}/coco.bin")
    assert (raw / "coco.bin").read_bytes() == CONTENT
