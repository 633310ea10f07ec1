"""Every kind of bad picture, record, file and archive, through what `mmicl ingest` runs.

Each is taken as it should be, quarantined with its reason, or refused in one line; records in and
records out are counted, and nothing outside the source folder is read.
"""

import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmicl.errors import DataError, MmiclError
from mmicl.fetch.limits import BYTES_VARIABLE, TRUSTED_VARIABLE
from mmicl.files import read_rows
from mmicl.images.store import ImageStore
from mmicl.paths import Paths
from mmicl.records import Example, Rejected
from mmicl.stages.ingest import ingest_uri
from tests.unit.fetch.web_server import serve

SIZE = (40, 30)
Ingest = Callable[[str, Path], tuple[dict[str, Any], list[Example], dict[str, Rejected]]]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "root").mkdir()
    return Paths(tmp_path / "root", tmp_path / "state")


@pytest.fixture
def ingest(paths: Paths) -> Ingest:
    """Ingest a folder; give the manifest, the Examples, and the rejected records by id.

    No record may be lost: each is an Example (of these readers: one) or is rejected.
    """

    def run(reader: str, folder: Path) -> tuple[dict[str, Any], list[Example], dict[str, Rejected]]:
        out = paths.root / "out"
        manifest = ingest_uri(reader, str(folder), out, paths)
        examples = read_rows(out / "examples.parquet", Example)
        rejected = read_rows(out / "rejected.parquet", Rejected)
        assert manifest["records"] == len(examples) + len(rejected)
        assert manifest["quarantined"] == Counter(row.reason for row in rejected)
        assert all("\n" not in row.detail and str(paths.root) not in row.detail for row in rejected)
        store = ImageStore([out / "images"])
        assert all(store.load(image).mode == "RGB" for row in examples for image in row.images)
        return manifest, examples, {row.record: row for row in rejected}

    return run


def noise(mode: str = "RGB") -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    shape = (SIZE[1], SIZE[0], bands) if bands > 1 else (SIZE[1], SIZE[0])
    pixels = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    return Image.frombytes(mode, SIZE, pixels.tobytes())


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def animate(kind: str) -> bytes:
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "green", "blue")]
    return encode(frames[0], kind, save_all=True, append_images=frames[1:])


def write_png(width: int, height: int, depth: int, pixels: bytes) -> bytes:
    """An RGB PNG of any header."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


BOMB = write_png(100_000, 100_000, 8, bytes(1000))
"""Of a few bytes, that says it has 10,000 megapixels."""


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


PNG, JPEG = encode(noise(), "PNG"), encode(noise(), "JPEG")
DEEP = Image.fromarray(np.full((SIZE[1], SIZE[0]), 40_000, dtype=np.uint16))
TAKEN = ""
PICTURES: dict[str, tuple[bytes, str]] = {
    "corrupt.png": (flip(PNG, len(PNG) // 2), "truncated_image"),
    "corrupt-header.jpg": (b"\0" * 20 + JPEG[20:], "unknown_format"),
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "truncated_image"),
    "truncated.png": (PNG[: len(PNG) // 2], "truncated_image"),
    "truncated.webp": (encode(noise(), "WEBP", lossless=True)[:-200], "unknown_format"),
    "bomb.png": (BOMB, "too_many_pixels"),
    "animated.png": (animate("PNG"), "animated"),
    "animated.webp": (animate("WEBP"), "animated"),
    "animated.gif": (animate("GIF"), "unknown_format"),
    "deep-grey.png": (encode(DEEP, "PNG"), "unsupported_mode"),
    "deep-colour.png": (write_png(2, 2, 16, bytes(2 * (1 + 12))), "unsupported_mode"),
    "empty.jpg": (b"", "empty_file"),
    "page.jpg": (b"<html>404 Not Found</html>", "unknown_format"),
    "vector.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown_format"),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unknown_format"),
    "cmyk.jpg": (encode(noise("CMYK"), "JPEG"), TAKEN),
    "palette.png": (encode(noise().quantize(8), "PNG"), TAKEN),
    "clear-palette.png": (encode(noise("RGBA").quantize(8), "PNG", transparency=0), TAKEN),
    "bilevel.png": (encode(noise().convert("1"), "PNG"), TAKEN),
    "grey.jpg": (encode(noise("L"), "JPEG"), TAKEN),
    "png-by-content.jpg": (PNG, TAKEN),
    "jpeg-by-content.png": (encode(noise(), "JPEG", quality=90), TAKEN),
    "no-extension": (encode(noise(), "JPEG", quality=80), TAKEN),
    "sound.jpg": (JPEG, TAKEN),
}


def ask(image: str, number: int = 1) -> dict[str, Any]:
    return {"question_id": number, "image": image, "text": "Is there a cat?", "label": "no"}


def write_pope(folder: Path, lines: list[Any], encoding: str = "utf-8") -> Path:
    """POPE's official form: JSON Lines, pictures in val2014; a line may be text or bytes."""
    (folder / "val2014").mkdir(parents=True, exist_ok=True)
    (folder / "val2014" / "sound.jpg").write_bytes(JPEG)
    data = b""
    for line in lines:
        text = (
            line if isinstance(line, str) else "" if isinstance(line, bytes) else json.dumps(line)
        )
        data += (line if isinstance(line, bytes) else text.encode(encoding)) + b"\n"
    (folder / "coco_pope_random.json").write_bytes(data)
    return folder


def test_pictures(ingest: Ingest, tmp_path: Path) -> None:
    folder = write_pope(
        tmp_path / "official", [ask(name, place) for place, name in enumerate(PICTURES)]
    )
    for name, (data, _) in PICTURES.items():
        (folder / "val2014" / name).write_bytes(data)
    manifest, examples, rejected = ingest("pope", folder)
    names = list(PICTURES)
    found = {names[int(own.rpartition("-")[2])]: row.reason for own, row in rejected.items()}
    assert found == {name: reason for name, (_, reason) in PICTURES.items() if reason}
    assert len(examples) == sum(not reason for _, reason in PICTURES.values())
    assert manifest["images"] == len({data for data, reason in PICTURES.values() if not reason})
    assert all(name in rejected[f"coco_pope_random-{names.index(name)}"].detail for name in found)


PATHS: dict[str, str] = {
    "../../secret.jpg": "path_outside",
    "val2014/../../../secret.jpg": "path_outside",
    "{secret}": "path_outside",
    "link.jpg": "path_outside",
    "folder-link/secret.jpg": "path_outside",
    "loop.jpg": "path_outside",
    "..\\..\\secret.jpg": "missing_image",
    "%2e%2e/%2e%2e/secret.jpg": "missing_image",
    "file://{secret}": "missing_image",
    "nul\0.jpg": "malformed",
    "long" * 100: "malformed",
    "": "missing_image",
    ".": "missing_image",
    "no-such.jpg": "missing_image",
}


def test_paths_in_records(ingest: Ingest, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(encode(Image.new("RGB", SIZE, "red"), "PNG"))
    names = [name.format(secret=secret) for name in PATHS]
    lines = [ask(name, place) for place, name in enumerate([*names, "sound.jpg"])]
    folder = write_pope(tmp_path / "official", lines)
    (folder / "val2014" / "link.jpg").symlink_to(secret)
    (folder / "val2014" / "folder-link").symlink_to(tmp_path)
    (folder / "val2014" / "loop.jpg").symlink_to("loop.jpg")
    manifest, _, rejected = ingest("pope", folder)
    found = [rejected[f"coco_pope_random-{place}"].reason for place in range(len(names))]
    assert dict(zip(PATHS, found, strict=True)) == PATHS
    assert manifest["images"] == 1


RECORDS: dict[str, tuple[Any, str]] = {
    "latin-1": (
        '{"question_id": 1, "text": "Is there a café?"}'.encode("latin-1"),
        "malformed_json",
    ),
    "cut off": ('{"question_id": 1, "text": "Is th', "malformed_json"),
    "not a number": ('{"question_id": NaN', "malformed_json"),
    "deep": ("[" * 50_000, "malformed_json"),
    "bytes": (bytes(range(1, 10)), "malformed_json"),
    "another type": (["question"], "malformed"),
    "a field lacks": ({"question_id": 1, "image": "sound.jpg"}, "malformed"),
    "a number for a text": (ask("sound.jpg") | {"text": 5}, "malformed"),
    "another label": (ask("sound.jpg") | {"label": "maybe"}, "malformed"),
    "no text": (ask("sound.jpg") | {"text": " \t "}, "empty_text"),
    "a forged picture": (ask("sound.jpg") | {"text": "Is <image0> a cat?"}, "reserved_token"),
    "half a sign": (ask("sound.jpg") | {"text": "half \ud800 a sign"}, "malformed"),
    "the same id": (ask("sound.jpg", 100), "duplicate_id"),
}


@pytest.mark.parametrize("fault", RECORDS)
def test_records(fault: str, ingest: Ingest, tmp_path: Path) -> None:
    line, reason = RECORDS[fault]
    sound = [ask("sound.jpg", number) for number in (100, 101)]
    folder = write_pope(tmp_path / "official", [sound[0], line, sound[1]])
    manifest, examples, rejected = ingest("pope", folder)
    assert [row.reason for row in rejected.values()] == [reason]
    assert [json.loads(row.meta)["question_id"] for row in examples] == [100, 101]
    assert manifest["records"] == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("form", ["lines", "array", "wide array"])
def test_encodings_of_whole_files(encoding: str, form: str, ingest: Ingest, tmp_path: Path) -> None:
    folder = write_pope(tmp_path / "official", [])
    asked = [ask("sound.jpg", 1) | {"text": "Is there a 猫 or a café?"}, ask("sound.jpg", 2)]
    text = {
        "lines": "\n".join(json.dumps(one, ensure_ascii=False) for one in asked),
        "array": json.dumps(asked, ensure_ascii=False),
        "wide array": json.dumps(asked, ensure_ascii=False, indent=1),
    }[form]
    (folder / "coco_pope_random.json").write_bytes(text.encode(encoding))
    if not encoding.startswith("utf-8"):
        with pytest.raises(DataError, match=r"random\.json: is in UTF-16 .*; save it as UTF-8$"):
            ingest("pope", folder)
        return
    _, examples, rejected = ingest("pope", folder)
    assert [row.question for row in examples] == ["Is there a 猫 or a café?", "Is there a cat?"]
    assert not rejected


def write_vqa(folder: Path, questions: dict[int, int], annotations: dict[int, int]) -> Path:
    """VQA v2's training files; question_id -> image_id of either."""
    (folder / "train2014").mkdir(parents=True)
    for image in {*questions.values(), *annotations.values()}:
        data = encode(Image.new("RGB", SIZE, (image, 0, 0)), "PNG")
        (folder / "train2014" / f"COCO_train2014_{image:012d}.jpg").write_bytes(data)
    asked = [
        {"question_id": own, "image_id": image, "question": "What is it?"}
        for own, image in questions.items()
    ]
    answered = [
        {"question_id": own, "image_id": image, "multiple_choice_answer": "cat",
         "answers": [{"answer": "cat"}] * 10}
        for own, image in annotations.items()
    ]  # fmt: skip
    name = "v2_OpenEnded_mscoco_train2014_questions.json"
    (folder / name).write_text(json.dumps({"questions": asked}))
    if annotations:
        name = "v2_mscoco_train2014_annotations.json"
        (folder / name).write_text(json.dumps({"annotations": answered}))
    return folder


def test_annotations_of_some_questions(ingest: Ingest, tmp_path: Path) -> None:
    folder = write_vqa(tmp_path / "vqa", {1: 1, 2: 2, 3: 3}, {1: 1, 3: 4, 9: 1})
    manifest, examples, rejected = ingest("vqav2", folder)
    assert [row.id for row in examples] == ["vqav2/train/1"]
    reasons = {own: row.reason for own, row in rejected.items()}
    assert reasons == {"2": "missing_annotation", "3": "malformed"}
    assert manifest["unused"] == {"annotations of train2014 without a question": 1}


@pytest.mark.parametrize("annotations", [{}, {7: 1, 8: 2}], ids=["none", "of another split"])
def test_questions_without_their_annotations_are_refused(
    annotations: dict[int, int], paths: Paths, tmp_path: Path
) -> None:
    folder = write_vqa(tmp_path / "vqa", {1: 1, 2: 2}, annotations)
    with pytest.raises(DataError, match=r"2 of 2 records .*missing_annotation \(2\)") as caught:
        ingest_uri("vqav2", str(folder), paths.root / "out", paths)
    assert "\n" not in str(caught.value)
    assert not (paths.root / "out").exists()
    quarantine = paths.cache("quarantine") / "vqav2" / "rejected.parquet"
    assert len(read_rows(quarantine, Rejected)) == 2


def test_a_table_that_is_a_link_to_the_outside_is_not_read(paths: Paths, tmp_path: Path) -> None:
    secret = write_pope(tmp_path / "other", [ask("sound.jpg")]) / "coco_pope_random.json"
    folder = write_pope(tmp_path / "official", [])
    (folder / "coco_pope_random.json").unlink()
    (folder / "coco_pope_random.json").symlink_to(secret)
    with pytest.raises(DataError, match="leads out of the dataset's folder"):
        ingest_uri("pope", str(folder), paths.root / "out", paths)
    assert not (paths.root / "out").exists()


def pack_tar(*members: tuple[str, bytes, bytes]) -> bytes:
    """A tar of (name, type, content or target of the link)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
            else:
                info.linkname = content.decode()
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def pack_zip(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return stream.getvalue()


TABLE = ("coco_pope_random.json", tarfile.REGTYPE, json.dumps(ask("sound.jpg")).encode())
PICTURE = ("val2014/sound.jpg", tarfile.REGTYPE, JPEG)
LINK = ("val2014/sound.jpg", tarfile.SYMTYPE, b"/etc/hostname")
WHOLE = pack_tar(TABLE, PICTURE)
ARCHIVES: dict[str, tuple[str, bytes, str]] = {
    "a sound one": ("pope.tar", WHOLE, ""),
    "a symlink": ("pope.tar", pack_tar(TABLE, LINK), "is a link"),
    "a symlink to a folder, and a file through it": (
        "pope.tar",
        pack_tar(TABLE, ("val2014", tarfile.SYMTYPE, b"/tmp"), PICTURE),
        "is a link",
    ),
    "a hard link": (
        "pope.tar", pack_tar(TABLE, ("x.jpg", tarfile.LNKTYPE, b"../../x")), "is a link",
    ),
    "a device": ("pope.tar", pack_tar(TABLE, ("x", tarfile.CHRTYPE, b"")), "is a device"),
    "a member outside": (
        "pope.tar", pack_tar(TABLE, ("../escaped.jpg", tarfile.REGTYPE, JPEG)), "outside|not a",
    ),
    "an absolute member": (
        "pope.tar", pack_tar(TABLE, ("/escaped.jpg", tarfile.REGTYPE, JPEG)), "not a safe",
    ),
    "a zip's member outside": ("pope.zip", pack_zip(**{"../escaped.jpg": JPEG}), "not a safe"),
    "a zip bomb": ("pope.zip", pack_zip(zeros=bytes(2_000_000)), "more comes than the limit"),
    "a member twice": ("pope.tar", pack_tar(TABLE, PICTURE, PICTURE), "twice"),
    "a cut off one": ("pope.tar", WHOLE[:1000], "not a whole archive"),
    "a page instead": ("pope.zip", b"<html>sign in</html>", "not a whole archive"),
}  # fmt: skip


@pytest.mark.parametrize("fault", ARCHIVES)
def test_archives(
    fault: str, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, data, message = ARCHIVES[fault]
    out = paths.root / "out"
    with serve() as (address, behaviour):
        monkeypatch.setenv(TRUSTED_VARIABLE, address.removeprefix("http://"))
        monkeypatch.setenv(BYTES_VARIABLE, "0.001")
        behaviour.files[f"/{name}"] = data
        if not message:
            assert ingest_uri("pope", f"{address}/{name}", out, paths)["examples"] == 1
            return
        with pytest.raises(MmiclError, match=message) as caught:
            ingest_uri("pope", f"{address}/{name}", out, paths)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    assert not list(tmp_path.rglob("escaped.jpg"))
