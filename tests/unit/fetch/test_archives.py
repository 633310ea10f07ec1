"""Archives as a stranger may send them."""

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from mmicl.errors import DataError, UserError
from mmicl.fetch import limits
from mmicl.fetch.archives import Limits, unpack


def make_tar(path: Path, *members: tarfile.TarInfo | str) -> Path:
    mode = "w" if path.name.endswith(".tar") else "w:gz"
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, str):
                info = tarfile.TarInfo(member)
                info.size = 4
                tar.addfile(info, io.BytesIO(b"data"))
            else:
                tar.addfile(member)
    return path


def make_zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"data")
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def lying(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.zip"])
def test_files_and_folders_come_out(tmp_path: Path, name: str) -> None:
    archive, out = tmp_path / name, tmp_path / "out"
    names = ["./images/0.jpg", "é.json"]
    if name.endswith("zip"):
        make_zip(archive, "images/", *names)
    else:
        make_tar(
            archive, special("./", tarfile.DIRTYPE), special("images/", tarfile.DIRTYPE), *names
        )
    assert unpack(archive, out, where=name) == ["images/0.jpg", "é.json"]
    assert lying(out) == ["images/0.jpg", "é.json"]
    assert (out / "images/0.jpg").read_bytes() == b"data"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("../outside", "not a safe file name"),
        ("/etc/passwd", "not a safe file name"),
        ("a/../../outside", "not a safe file name"),
        ("a//b", "not a safe file name"),
        ("a\\b", "not a safe file name"),
        ("a\nb", "not a safe file name"),
    ],
)
def test_unsafe_names_are_refused(tmp_path: Path, member: str, message: str) -> None:
    (tmp_path / "in").mkdir()
    for archive in (
        make_tar(tmp_path / "in/a.tar", member),
        make_zip(tmp_path / "in/a.zip", member),
    ):
        with pytest.raises(DataError, match=message):
            unpack(archive, tmp_path / "in" / "out", where="coco")
    assert lying(tmp_path) == ["in/a.tar", "in/a.zip"]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (special("x", tarfile.SYMTYPE, "/etc/passwd"), "coco: x is a link"),
        (special("x", tarfile.SYMTYPE, "y"), "x is a link"),
        (special("x", tarfile.LNKTYPE, "y"), "x is a link"),
        (special("x", tarfile.FIFOTYPE), "x is a device"),
        (special("x", tarfile.CHRTYPE), "x is a device"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(
    tmp_path: Path, member: tarfile.TarInfo, message: str
) -> None:
    archive = make_tar(tmp_path / "a.tar", "y", member)
    with pytest.raises(DataError, match=message):
        unpack(archive, tmp_path / "out", where="coco")


def test_links_and_secrets_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("x")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="x is a link or a device"):
        unpack(tmp_path / "link.zip", tmp_path / "out", where="coco")
    content = bytearray(make_zip(tmp_path / "plain.zip", "x").read_bytes())
    central = content.rindex(b"PK\x01\x02")
    content[central + 8] |= 1  # the flag that says "encrypted"
    (tmp_path / "secret.zip").write_bytes(content)
    with pytest.raises(DataError, match="x is encrypted"):
        unpack(tmp_path / "secret.zip", tmp_path / "out", where="coco")


def test_members_bytes_and_ratio_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = make_tar(tmp_path / "many.tar", *(f"{number}.txt" for number in range(20)))
    with pytest.raises(DataError, match="holds more than 10 members"):
        unpack(many, tmp_path / "many", where="coco", limits=Limits(members=10))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    bound = Limits(ratio=50, free=1 << 20)
    with pytest.raises(DataError, match="unpacks to more than 50 times its size"):
        unpack(tmp_path / "bomb.zip", tmp_path / "bomb", where="coco", limits=bound)
    unpack(tmp_path / "bomb.zip", tmp_path / "big", where="coco")  # small: below what is free
    monkeypatch.setenv(limits.BYTES_VARIABLE, "0.001")
    with pytest.raises(UserError, match="more comes than the limit allows"):
        unpack(tmp_path / "bomb.zip", tmp_path / "over", where="coco")


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_a_name_comes_once(tmp_path: Path, names: tuple[str, str]) -> None:
    archive = make_tar(tmp_path / "a.tar", *names)
    with pytest.raises(DataError, match="twice"):
        unpack(archive, tmp_path / "out", where="coco")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_broken_archives_are_named(tmp_path: Path, name: str) -> None:
    names = [f"{number}.txt" for number in range(50)]
    archive = (make_zip if name.endswith("zip") else make_tar)(tmp_path / name, *names)
    whole = archive.read_bytes()
    for content in (whole[: len(whole) // 3], b"<html>not found</html>", b""):
        archive.write_bytes(content)
        with pytest.raises(DataError, match="coco: not a whole archive"):
            unpack(archive, tmp_path / "out", where="coco")
        for path in (tmp_path / "out").glob("*"):
            path.unlink()


def test_a_damaged_member_is_noticed(tmp_path: Path) -> None:
    content = make_zip(tmp_path / "a.zip", "x").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"data", b"dada", 1))
    with pytest.raises(DataError, match=r"not a whole archive.*Bad CRC"):
        unpack(tmp_path / "a.zip", tmp_path / "out", where="coco")


def test_other_kinds_are_not_archives(tmp_path: Path) -> None:
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(UserError, match=r"not an archive by its name; known are \.tar, \.tar\.gz"):
        unpack(tmp_path / "a.rar", tmp_path / "out", where="coco")


def head(kind: bytes, size: int) -> bytes:
    """A header that says that `size` bytes of it follow."""
    info = special("long", kind)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g", b"X"])
@pytest.mark.parametrize(
    ("count", "size", "claimed"),
    [(1, 2 << 20, 2 << 20), (3, 500_000, 500_000), (1, 2 << 20, -512)],
    ids=["one", "together", "a negative size reads all there is"],
)
def test_headers_are_limited(
    tmp_path: Path, kind: bytes, count: int, size: int, claimed: int
) -> None:
    archive = tmp_path / "long.tar.gz"
    plain = make_tar(tmp_path / "plain.tar", "a").read_bytes()
    content = f"{size} comment=".encode().ljust(size - 1, b"a") + b"\n"
    content += bytes(-size % tarfile.BLOCKSIZE)
    archive.write_bytes(gzip.compress((head(kind, claimed) + content) * count + plain, 1))
    with pytest.raises(DataError, match=r"^coco: a member's name or header has more than 1048576"):
        unpack(archive, tmp_path / "out", where="coco")
    assert not (tmp_path / "out").exists()


def test_headers_of_headers_are_refused(tmp_path: Path) -> None:
    plain = make_tar(tmp_path / "plain.tar", "a").read_bytes()
    (tmp_path / "deep.tar").write_bytes(head(b"L", 0) * 1000 + plain)
    with pytest.raises(DataError, match=r"^coco: not a whole archive \(maximum recursion"):
        unpack(tmp_path / "deep.tar", tmp_path / "out", where="coco")


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_usual_headers_are_read(tmp_path: Path, form: int) -> None:
    names = [f"{'é' * 100}/{number}.jpg" for number in range(3)]
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    assert unpack(tmp_path / "a.tar", tmp_path / "out", where="coco") == names
