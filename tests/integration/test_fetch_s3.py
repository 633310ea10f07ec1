"""Datasets in a bucket, against a real S3 server process; DVC's own traffic with it."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from checkouts import run_in
from s3_relay import Relay

from flows.services import free_port
from mmicl import storage
from mmicl.errors import DataError, TransientError, UserError
from mmicl.fetch import Manifest, fetch_dataset, partial, read_manifest
from mmicl.files import hash_file
from mmicl.storage import Bucket, StoredObject

Fetch = Callable[..., Manifest]
CONTENT = random.Random(0).randbytes(1_000_000)
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an S3 server that runs for the tests of this module."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, "moto's server did not start"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def client(endpoint: str) -> Any:
    """A client with keys of its own, whatever the environment says."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def s3(endpoint: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client, with an empty bucket `data`; the environment says where it is."""
    for variable, value in {**KEYS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(partial, "FIRST_PAUSE", 0.001)
    urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"").close()  # noqa: S310
    client.create_bucket(Bucket="data")
    return client


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "data" / "raw" / "coco"


@pytest.fixture
def fetch(tmp_path: Path, raw: Path) -> Fetch:
    def run(source: str) -> Manifest:
        return fetch_dataset(
            source, raw, licence="CC0-1.0", state=tmp_path / "state", root=tmp_path,
            generate=lambda *_: None,
        )  # fmt: skip

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """The ranges that were read, as they are read."""
    ranges: list[tuple[str, int, int]] = []
    real = Bucket.read_object

    def note(self: Bucket, item: StoredObject, start: int, end: int) -> Iterator[bytes]:
        ranges.append((item.key, start, end))
        return real(self, item, start, end)

    monkeypatch.setattr(Bucket, "read_object", note)
    return ranges


def put(client: Any, **objects: bytes) -> None:
    for key, body in objects.items():
        client.put_object(Bucket="data", Key=key.replace("__", "/"), Body=body)


def test_a_prefix_is_fetched_in_parts_and_described(
    fetch: Fetch, raw: Path, s3: Any, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "PART", 300_000)
    put(s3, coco__a=CONTENT, coco__images__b=b"picture", coco__empty=b"", coco2__x=b"another")
    s3.put_object(Bucket="data", Key="coco/images/", Body=b"")  # a folder, as consoles make them
    manifest = fetch("s3://data/coco")
    assert [entry.path for entry in manifest.files] == ["a", "empty", "images/b"]
    assert (raw / "a").read_bytes() == CONTENT
    assert manifest.files[0].origin == "s3://data/coco/a"
    assert sorted(asked) == [
        ("coco/a", 0, 300_000),
        ("coco/a", 300_000, 600_000),
        ("coco/a", 600_000, 900_000),
        ("coco/a", 900_000, 1_000_000),
        ("coco/images/b", 0, 7),
    ]
    asked.clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # nobody answers there
    assert fetch("s3://data/coco") == manifest
    shutil.rmtree(raw)
    assert fetch("s3://data/coco") == manifest == read_manifest(raw)
    assert not asked


def test_one_object_and_patterns(fetch: Fetch, raw: Path, s3: Any) -> None:
    put(s3, coco__a=b"a", coco__images__b=b"b", coco__images__c=b"c")
    assert [entry.path for entry in fetch("s3://data/coco/a").files] == ["a"]
    manifest = fetch("s3://data?include=coco/**/[bc]")
    assert [entry.path for entry in manifest.files] == ["coco/images/b", "coco/images/c"]
    with pytest.raises(UserError, match=r"no file there; check the address and \?include="):
        fetch("s3://data/coco?include=*.json")


def test_an_object_that_changed_is_refused(
    fetch: Fetch, raw: Path, s3: Any, tmp_path: Path
) -> None:
    put(s3, coco__a=b"first", coco__b=b"b")
    fetch("s3://data/coco")
    shutil.rmtree(raw)
    (store,) = (path for path in (tmp_path / "state/downloads").iterdir() if path.is_dir())
    (store / "files" / "b").unlink()  # so that the server has to be asked
    put(s3, coco__a=b"other")
    with pytest.raises(DataError, match=rf"coco/a: changed .* upstream since.*delete {store}"):
        fetch("s3://data/coco")
    s3.delete_object(Bucket="data", Key="coco/a")
    with pytest.raises(DataError, match=r"s3://data/coco/a: is gone upstream since"):
        fetch("s3://data/coco")
    put(s3, coco__a=b"first")
    assert len(fetch("s3://data/coco").files) == 2


def test_an_object_that_changes_between_two_parts_is_refused(s3: Any) -> None:
    put(s3, a=b"first")
    bucket = Bucket("data", connections=1)
    (item,) = bucket.list_objects("")
    put(s3, a=b"other")
    with pytest.raises(DataError, match=r"s3://data/a: changed upstream while it was fetched"):
        list(bucket.read_object(item, 0, 5))


def test_names_that_lead_out_of_the_folder_are_refused(fetch: Fetch, raw: Path, s3: Any) -> None:
    put(s3, **{"coco__..__..__x": b"x"})
    with pytest.raises(DataError, match=r"'\.\./\.\./x' is not a safe file name"):
        fetch("s3://data/coco")


def test_what_is_wrong_is_said_in_one_line(
    fetch: Fetch, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"s3://nowhere/coco: the server answered NoSuchBucket"):
        fetch("s3://nowhere/coco")
    monkeypatch.setattr(storage, "TRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(TransientError, match=r"s3://data/coco: Could not connect to the endpoint"):
        fetch("s3://data/coco")


def test_without_credentials_public_objects_are_read(
    fetch: Fetch, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, coco__a=b"a")
    s3.put_bucket_acl(Bucket="data", ACL="public-read")
    for variable in KEYS:
        monkeypatch.delenv(variable)
    with pytest.raises(UserError, match=r"s3://data/coco/a: the server answered 403"):
        fetch("s3://data/coco")
    s3.put_object_acl(Bucket="data", Key="coco/a", ACL="public-read")
    assert len(fetch("s3://data/coco").files) == 1


@pytest.fixture
def relay(endpoint: str, s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """A relay that stands before the S3 server; the environment names it."""
    with Relay(endpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        put(s3, coco__a=CONTENT)
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("answer", [(503, "SlowDown"), (400, "RequestTimeout")])
def test_a_busy_server_is_asked_again(
    answer: tuple[int, str], fetch: Fetch, raw: Path, relay: Relay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(storage, "TRIES", 2)
    relay.answer = answer
    relay.busy.update({"list-type": 1, "coco/a": 3})  # more for the object than botocore tries
    fetch("s3://data/coco")
    assert (raw / "a").read_bytes() == CONTENT
    assert not relay.busy.total()
    assert len(relay.asked) == 2 + 4


def test_a_server_that_stays_busy_is_a_transient_error(
    fetch: Fetch, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "TRIES", 1)
    monkeypatch.setattr(partial, "TRIES", 3)
    relay.busy["coco/a"] = 9
    with pytest.raises(TransientError, match=r"s3://data/coco/a: the server answered SlowDown: R"):
        fetch("s3://data/coco")
    assert relay.busy["coco/a"] == 9 - 3
    relay.busy["list-type"] = 9
    with pytest.raises(TransientError, match=r"s3://data/coco: the server answered SlowDown: R"):
        fetch("s3://data/coco")


def test_credentials_come_from_the_environment_alone(
    fetch: Fetch, s3: Any, raw: Path, relay: Relay, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    keys = "aws_access_key_id = OFAFILE\naws_secret_access_key = secret\n"
    (home / ".aws" / "credentials").write_text(f"[default]\n{keys}[other]\n{keys}")
    (home / ".aws" / "config").write_text(f"[default]\n{keys}[profile other]\n{keys}")
    monkeypatch.setenv("HOME", str(home))
    for variable in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(variable, raising=False)
    fetch("s3://data/coco")
    assert all("Credential=test/" in headers["Authorization"] for headers in relay.asked)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "for an hour")
    next(Bucket("data", connections=1).list_objects(""))
    assert relay.asked.pop()["X-Amz-Security-Token"] == "for an hour"

    s3.put_bucket_acl(Bucket="data", ACL="public-read")
    relay.asked.clear()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with socket.create_server(("127.0.0.1", 0)) as machine:  # where a machine's role is asked for
        machine.setblocking(False)
        address = f"http://127.0.0.1:{machine.getsockname()[1]}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
        for profile in ("default", "other"):
            monkeypatch.setenv("AWS_PROFILE", profile)
            assert list(Bucket("data", connections=1).list_objects(""))
        with pytest.raises(BlockingIOError):
            machine.accept()
    assert [headers["Authorization"] for headers in relay.asked] == [None, None]


def test_half_of_the_credentials_is_said(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match=r"data: Partial credentials .*missing: aws_secret_access"):
        Bucket("data", connections=1)


CHILD = """
import re, sys
from pathlib import Path
from mmicl.fetch import fetch_dataset, partial
partial.PART = int(sys.argv[2])
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
root = Path(sys.argv[1])
fetch_dataset("s3://data/coco", root / "data/raw/coco", licence="CC0-1.0", state=root / "state",
              root=root, generate=lambda *_: None)
print(peak() - before)
"""


@pytest.mark.slow
def test_a_kill_loses_only_the_parts_on_their_way(
    fetch: Fetch, raw: Path, s3: Any, asked: list[Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    part, content = 300_000, random.Random(1).randbytes(24_000_000)
    put(s3, coco__a=content, coco__b=b"b")
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), str(part)])
    deadline = time.monotonic() + 120
    while len(read_done(tmp_path)) < 10:
        assert time.monotonic() < deadline
        assert child.poll() is None, "it was faster than the kill"
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not raw.exists()
    done = read_done(tmp_path)
    monkeypatch.setattr(partial, "PART", part)
    fetch("s3://data/coco")
    assert (raw / "a").read_bytes() == content
    again = {start // part for key, start, _ in asked if key == "coco/a"}
    assert again == set(range(80)) - done
    assert not list(tmp_path.glob("state/downloads/*/files/*.part*"))


def read_done(folder: Path) -> set[int]:
    """The parts of the object `a` that are whole."""
    for journal in folder.glob("state/downloads/*/files/a.part.done"):
        lines = journal.read_text().splitlines(keepends=True)[1:]
        return {int(line) for line in lines if line.endswith("\n")}
    return set()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_object(s3: Any, tmp_path: Path) -> None:
    put(s3, coco__a=bytes(120_000_000))
    arguments = [sys.executable, "-c", CHILD, str(tmp_path), str(8 << 20)]
    grown = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    assert int(grown) < 80_000  # kilobytes, boto3's own code among them; the object has 120,000


@pytest.mark.slow
def test_dvc_pushes_to_the_same_server_and_pulls_from_it(
    fetch: Fetch, raw: Path, s3: Any, endpoint: str, tmp_path: Path
) -> None:
    put(s3, coco__a=CONTENT, coco__images__b=b"picture")
    manifest = fetch("s3://data/coco")
    variables = {**KEYS, "AWS_ENDPOINT_URL": endpoint, "DVC_NO_ANALYTICS": "1"}
    for command in (
        "git init -q",
        "dvc init -q",
        "dvc config cache.type hardlink",
        "dvc remote add -d s3 s3://data/dvc",
        "dvc add -q data/raw/coco",
        "dvc push -q",
    ):
        result = run_in(tmp_path, *command.split(), timeout=300, **variables)
        assert result.returncode == 0, result.stderr
    shutil.rmtree(raw)
    shutil.rmtree(tmp_path / ".dvc" / "cache")
    result = run_in(tmp_path, "dvc", "pull", "-q", timeout=300, **variables)
    assert result.returncode == 0, result.stderr
    assert read_manifest(raw) == manifest
    for entry in manifest.files:
        assert hash_file(raw / entry.path) == entry.sha256
