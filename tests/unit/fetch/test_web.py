"""Files from the web, against a real server on loopback."""

import errno
import hashlib
import io
import random
import shutil
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from web_server import Behaviour

from mmicl.errors import DataError, ResourceError, TransientError, UserError
from mmicl.fetch import Manifest, limits, partial, read_manifest
from mmicl.fetch.web import find_addresses

Fetch = Callable[..., Manifest]
Web = tuple[str, Behaviour]
CONTENT = random.Random(0).randbytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "PART", 100_000)


def test_a_file_comes_in_parts_and_is_described(
    fetch: Fetch, raw: Path, web: Web, small_parts: None
) -> None:
    address, server = web
    server.files["/data/coco.bin"] = CONTENT
    manifest = fetch(f"{address}/data/coco.bin")
    assert (raw / "coco.bin").read_bytes() == CONTENT
    (entry,) = manifest.files
    assert (entry.path, entry.size, entry.sha256) == ("coco.bin", 300_000, DIGEST)
    assert entry.origin == f"{address}/data/coco.bin"
    assert manifest.licence == "CC0-1.0"
    assert read_manifest(raw) == manifest
    assert [asked for _, asked in server.requests] == [
        "bytes=0-0",
        "bytes=0-99999",
        "bytes=100000-199999",
        "bytes=200000-299999",
    ]


def test_what_is_complete_makes_no_traffic(
    fetch: Fetch, raw: Path, web: Web, tmp_path: Path
) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    first = fetch(f"{address}/coco.bin")
    server.requests.clear()
    assert fetch(f"{address}/coco.bin") == first
    shutil.rmtree(raw)  # as DVC does before each run of the stage
    assert fetch(f"{address}/coco.bin") == first
    fetch(f"{address}/coco.bin#sha256={DIGEST}", tmp_path / "root/data/raw/other")
    assert (tmp_path / "root/data/raw/other/coco.bin").read_bytes() == CONTENT
    assert server.requests == []


def test_broken_connections_are_taken_up_where_they_broke(
    fetch: Fetch, raw: Path, web: Web, small_parts: None
) -> None:
    address, server = web
    server.files["/coco.bin"], server.break_after = CONTENT, 70_000
    fetch(f"{address}/coco.bin")
    assert (raw / "coco.bin").read_bytes() == CONTENT
    assert ("/coco.bin", "bytes=70000-99999") in server.requests
    assert server.sent == len(CONTENT) + 1


def test_parts_that_came_do_not_come_again(
    fetch: Fetch, raw: Path, web: Web, small_parts: None
) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    real = partial.PartialFile.fetch_part

    def stop(self: partial.PartialFile, number: int, *others: Any) -> None:
        if number == 2:
            raise KeyboardInterrupt
        real(self, number, *others)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(partial.PartialFile, "fetch_part", stop)
        fetch(f"{address}/coco.bin")
    assert not raw.exists()
    server.requests.clear()
    fetch(f"{address}/coco.bin")
    assert [asked for _, asked in server.requests] == ["bytes=0-0", "bytes=200000-299999"]
    assert (raw / "coco.bin").read_bytes() == CONTENT


def test_a_partial_file_that_changed_upstream_begins_anew(
    fetch: Fetch, raw: Path, web: Web, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    server.failures = [(206, {"Content-Range": "bytes 0-0/300000", "ETag": '"an older one"'})]
    with pytest.raises(DataError, match="changed upstream while it was fetched; run again"):
        fetch(f"{address}/coco.bin")
    fetch(f"{address}/coco.bin")
    assert (raw / "coco.bin").read_bytes() == CONTENT


def test_a_digest_that_changed_upstream_is_refused(
    fetch: Fetch, raw: Path, web: Web, tmp_path: Path
) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    fetch(f"{address}/coco.bin")
    shutil.rmtree(raw)
    (kept,) = (tmp_path / "state" / "downloads").glob("*/files/coco.bin")
    kept.unlink()
    server.files["/coco.bin"], server.etags = b"something else", False
    with pytest.raises(DataError, match=rf"changed upstream: its sha256 is .*, not {DIGEST}"):
        fetch(f"{address}/coco.bin")
    assert not raw.exists()
    server.files["/coco.bin"] = CONTENT
    assert fetch(f"{address}/coco.bin").files[0].sha256 == DIGEST


def test_a_pinned_digest_is_held(fetch: Fetch, raw: Path, web: Web) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    wrong = "0" * 64
    with pytest.raises(DataError, match=f"changed upstream: its sha256 is {DIGEST}, not {wrong}"):
        fetch(f"{address}/coco.bin#sha256={wrong}")
    assert not raw.exists()
    fetch(f"{address}/coco.bin#sha256={DIGEST}")
    assert (raw / "coco.bin").read_bytes() == CONTENT
    with pytest.raises(DataError, match=f"not {wrong}"):  # of what lies in the store as well
        fetch(f"{address}/coco.bin#sha256={wrong}")


@pytest.mark.parametrize(
    "how", [{"ranges": False}, {"etags": False}, {"ranges": False, "lengths": False}]
)
def test_servers_without_ranges_marks_or_lengths(
    fetch: Fetch, raw: Path, web: Web, how: dict[str, bool]
) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    vars(server).update(how)
    fetch(f"{address}/coco.bin")
    assert (raw / "coco.bin").read_bytes() == CONTENT
    assert server.requests[-1] == ("/coco.bin", None)


def test_a_whole_file_is_asked_for_anew_where_parts_are_not_to_be_had(
    fetch: Fetch, raw: Path, web: Web
) -> None:
    address, server = web
    server.files["/coco.bin"], server.ranges, server.break_after = CONTENT, False, 1000
    with pytest.raises(TransientError):
        fetch(f"{address}/coco.bin")
    assert len(server.requests) == 1 + partial.TRIES
    server.break_after = None
    fetch(f"{address}/coco.bin")
    assert (raw / "coco.bin").read_bytes() == CONTENT


def test_an_empty_file(fetch: Fetch, raw: Path, web: Web) -> None:
    address, server = web
    server.files["/empty.txt"] = b""
    assert fetch(f"{address}/empty.txt").files[0].size == 0
    assert (raw / "empty.txt").read_bytes() == b""


def test_a_busy_server_is_waited_for(fetch: Fetch, raw: Path, web: Web) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    server.failures = [(206, {"Content-Range": "bytes 0-0/300000"})]
    server.failures += [(503, {"Retry-After": "0"}), (429, {}), (500, {})]
    fetch(f"{address}/coco.bin")
    assert (raw / "coco.bin").read_bytes() == CONTENT


def test_the_servers_own_pause_is_kept() -> None:
    busy = partial.BusyServerError("busy", where="x", seconds=7)
    assert partial._choose_pause(busy, 1) == 7
    assert partial._choose_pause(TransientError("broke off"), 3) == 4
    assert partial._choose_pause(TransientError("broke off"), 30) == partial.LONGEST_PAUSE


def test_a_refusal_is_not_tried_again(fetch: Fetch, web: Web) -> None:
    address, server = web
    with pytest.raises(UserError, match=r"coco\.bin: the server answered 404; check the address"):
        fetch(f"{address}/coco.bin")
    assert len(server.requests) == 1


def test_redirects_are_followed_within_what_is_trusted(fetch: Fetch, raw: Path, web: Web) -> None:
    address, server = web
    server.redirects["/latest.bin"] = "/v1/coco.bin"
    server.files["/v1/coco.bin"] = CONTENT
    fetch(f"{address}/latest.bin")
    assert (raw / "latest.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("http://169.254.169.254/latest/meta-data", "http:// is not https"),
        ("https://169.254.169.254/latest", r"169\.254\.169\.254 is not a public address"),
        ("https://127.0.0.1:1/x", "not a public address"),
        ("https://localhost:1/x", "not a public address"),
        ("https://[::ffff:10.0.0.1]/x", "not a public address"),
        ("ftp://example.org/x", "ftp:// is not https"),
        ("file:///etc/passwd", "not a web address"),
        ("https://user:secret@example.org/x", "without name and password"),
        ("/coco.bin", "more than 10 redirects"),
    ],
)
def test_every_redirect_is_checked(fetch: Fetch, web: Web, target: str, message: str) -> None:
    address, server = web
    server.redirects["/coco.bin"] = target
    with pytest.raises(UserError, match=message) as caught:
        fetch(f"{address}/coco.bin")
    assert "secret" not in str(caught.value)


def test_loopback_and_http_need_a_name(
    fetch: Fetch, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    monkeypatch.delenv(limits.TRUSTED_VARIABLE)
    with pytest.raises(UserError, match=r"http:// is not https; export MMICL_FETCH_TRUSTED_HOSTS"):
        fetch(f"{address}/coco.bin")
    with pytest.raises(UserError, match=r"127\.0\.0\.1 is not a public address; export MMICL_"):
        fetch(f"{address}/coco.bin".replace("http:", "https:"))
    assert server.requests == []


PRIVATE = "10.1.2.3 192.168.0.1 100.64.0.1 0.0.0.0 224.0.0.1 ::1 fe80::1 fd00::1"
TUNNELS = "64:ff9b::7f00:1 2002:7f00:1:: ::ffff:127.0.0.1"


@pytest.mark.parametrize("address", [*PRIVATE.split(), *TUNNELS.split()])
def test_addresses_that_are_not_public(address: str) -> None:
    with pytest.raises(UserError, match="is not a public address"):
        find_addresses(address, 443)


def test_a_name_with_one_private_address_among_others_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [(2, 1, 6, "", (ip, 443)) for ip in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answers)
    with pytest.raises(UserError, match=r"example\.org: 10\.0\.0\.1 is not a public address"):
        find_addresses("example.org", 443)
    answers.pop()
    assert find_addresses("example.org", 443) == ["93.184.216.34"]


def test_size_and_time_are_limited(fetch: Fetch, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    monkeypatch.setenv(limits.BYTES_VARIABLE, "0.0002")
    with pytest.raises(UserError, match="are over the limit; raise MMICL_FETCH_MAX_GB"):
        fetch(f"{address}/coco.bin")
    server.ranges = server.lengths = False  # nothing is announced
    with pytest.raises(UserError, match="more comes than the limit allows; raise MMICL_FETCH_MAX"):
        fetch(f"{address}/coco.bin")
    monkeypatch.delenv(limits.BYTES_VARIABLE)
    monkeypatch.setenv(limits.HOURS_VARIABLE, "0.00001")
    server.block, server.delay = 10_000, 0.01
    with pytest.raises(UserError, match="time limit is over; run again to go on, or raise MMICL_"):
        fetch(f"{address}/coco.bin")
    monkeypatch.setenv(limits.HOURS_VARIABLE, "soon")
    with pytest.raises(UserError, match="MMICL_FETCH_MAX_HOURS is not a positive number: 'soon'"):
        fetch(f"{address}/coco.bin")


def test_a_disk_that_fills_up_is_no_bug(
    fetch: Fetch, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT

    def fill(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(partial.PartialFile, "_write", fill)
    with pytest.raises(ResourceError, match=r"coco\.bin: the disk is full; free space, run again"):
        fetch(f"{address}/coco.bin")


def test_a_compressed_answer_is_refused(fetch: Fetch, web: Web) -> None:
    address, server = web
    server.files["/coco.bin"], server.encoding = CONTENT, "gzip"
    with pytest.raises(DataError, match="sends it compressed, unasked"):
        fetch(f"{address}/coco.bin")


def test_an_archive_that_the_source_names_is_unpacked(
    fetch: Fetch, raw: Path, web: Web, tmp_path: Path
) -> None:
    address, server = web
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("train2014/0.jpg", b"picture")
    server.files["/zips/train2014.zip"] = packed.getvalue()
    server.files["/captions.json"] = b"{}"
    manifest = fetch(f"{address}/zips/train2014.zip {address}/captions.json")
    assert [entry.path for entry in manifest.files] == ["captions.json", "train2014/0.jpg"]
    assert manifest.files[1].origin == f"{address}/zips/train2014.zip"
    (entry,) = manifest.archives
    assert entry.sha256 == hashlib.sha256(packed.getvalue()).hexdigest()
    assert (raw / "train2014/0.jpg").read_bytes() == b"picture"
    server.requests.clear()
    shutil.rmtree(raw)
    assert fetch(f"{address}/zips/train2014.zip {address}/captions.json") == manifest
    assert server.requests == []
    whole = fetch(f"{address}/zips/train2014.zip#unpack=none")
    assert [entry.path for entry in whole.files] == ["train2014.zip"]


def test_files_that_changed_on_this_disk_are_noticed(fetch: Fetch, raw: Path, web: Web) -> None:
    address, server = web
    server.files["/coco.bin"] = CONTENT
    fetch(f"{address}/coco.bin")
    (raw / "coco.bin").write_bytes(bytes(300_000))  # writes through the hard link
    shutil.rmtree(raw)
    with pytest.raises(DataError, match=r"coco\.bin: changed on this disk since it came; delete"):
        fetch(f"{address}/coco.bin")
