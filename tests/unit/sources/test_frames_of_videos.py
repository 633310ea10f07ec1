"""How many frames a video gives: the reader's own number, a param, an option of the command."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmicl.cli.application import app
from mmicl.config import check_config, read_params
from mmicl.errors import UserError
from mmicl.paths import Paths
from mmicl.sources import READERS, set_frames
from mmicl.stages import StageContext
from mmicl.stages import ingest as ingest_stage

ROOT = Path(__file__).resolve().parents[3]
VIDEO = {"ivqa", "msrvtt", "msrvtt_qa", "msvd_qa", "nextqa", "nextqa_open"}


def test_readers_of_videos_take_as_many_as_the_released_project() -> None:
    assert {name: reader.frames for name, reader in READERS.items() if reader.frames} == (
        dict.fromkeys(VIDEO, 8)
    )


def test_a_film_gives_so_many_frames(official, ingest, film) -> None:
    rows = "video_id,question,answer1,answer2,answer3,answer4,answer5\nv,What?,a,a,a,b,c\n"
    folder = official({"val.csv": rows})
    film(folder, "videos/v.mp4")
    for frames, wanted in ((None, 8), (2, 2), (5, 5)):
        result = ingest("ivqa", folder, out=f"out{frames}", frames=frames)
        (row,) = result.examples
        assert len(row.images) == wanted
    # six seconds: frames 0 to 5 are shown from second 0 to 5; i * 6 / 6 for i = 1 … 5
    assert len(set(row.images)) == 5


@pytest.mark.parametrize(
    ("reader", "frames", "message"),
    [
        ("vsr", 4, "datasets.x.frames: vsr reads no videos; leave it out"),
        ("ivqa", 0, "datasets.x.frames: 0 frames of a video; 1 or more"),
    ],
)
def test_a_number_that_cannot_be_is_refused(reader: str, frames: int, message: str) -> None:
    with pytest.raises(UserError) as caught:
        set_frames(READERS[reader], frames, "datasets.x.frames")
    assert str(caught.value) == message


def configure(**changes: object) -> dict[str, object]:
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    params["datasets"]["msrvtt_qa"] |= changes
    return params


def test_params_say_how_many(paths: Paths, world) -> None:
    def run(**changes: object) -> int:
        config = check_config(configure(**changes), "test")
        context = StageContext("ingest@msrvtt_qa", "msrvtt_qa", config, paths, "0")
        ingest_stage.run(context)
        return context.facts["images"]

    paths.raw("msrvtt_qa").parent.mkdir(parents=True)
    world("msrvtt_qa", 4).rename(paths.raw("msrvtt_qa"))
    assert run() > run(frames=1)
    with pytest.raises(UserError, match=r"datasets\.msrvtt_qa\.frames: vsr reads no videos"):
        run(reader="vsr")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "root").mkdir()
    return Paths(tmp_path / "root", tmp_path / "state")


def test_the_command_says_how_many(world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMICL_STATE", str(tmp_path / "state"))
    options = ["--source", str(world("msrvtt_qa", 4)), "--json"]
    found = []
    for frames in ("1", "3"):
        out = ["--out", str(tmp_path / frames), "--frames", frames]
        result = CliRunner().invoke(app, ["ingest", "msrvtt_qa", *options, *out])
        assert result.exit_code == 0, result.output
        found.append(json.loads(result.stdout)["images"])
    assert found[0] < found[1]
    result = CliRunner().invoke(
        app, ["ingest", "vsr", *options, "--out", str(tmp_path / "no"), "--frames", "1"]
    )
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == "--frames: vsr reads no videos; leave it out"


def test_frames_are_lent_to_who_takes_as_many(world, ingest, tmp_path: Path) -> None:
    folder = world("msrvtt_qa", 4)
    lender = ingest("msrvtt_qa", folder, out="lender")
    entries = json.loads((folder / "train_qa.json").read_text())
    names = [f"video{entry['video_id']}.mp4" for entry in entries]
    borrower = tmp_path / "borrower"
    (borrower / "videos").mkdir(parents=True)
    shutil.copy(folder / "train_qa.json", borrower)
    # Another film under a name that is lent: what is lent comes first.
    shutil.copy(folder / "videos" / names[1], borrower / "videos" / names[0])
    lent = ingest("msrvtt_qa", borrower, lender=lender.out / "images")
    assert [row.images for row in lent.examples] == [row.images for row in lender.of("train")]
    assert len(lent.store) == 0
    assert lent.manifest["borrowed"] == lent.manifest["images"] > 0
    fewer = ingest(
        "msrvtt_qa", borrower, out="fewer", lender=lender.out / "images", frames=3, limit=0.9
    )
    assert len(fewer.examples) == 1, "it has one of the videos itself"
    assert [row.detail for row in fewer.rejected] == [
        f"videos/{name}: no such video, and images has no 3 frames of it" for name in names[1:]
    ]


def test_a_lent_video_is_found_by_its_file_name_alone(world, ingest, tmp_path: Path) -> None:
    folder = world("msrvtt_qa", 4)
    (folder / "videos").rename(folder / "elsewhere")
    lender = ingest("msrvtt_qa", folder, out="lender", files={"videos": "elsewhere/"})
    borrower = tmp_path / "borrower"
    borrower.mkdir()
    shutil.copy(folder / "train_qa.json", borrower)
    lent = ingest("msrvtt_qa", borrower, lender=lender.out / "images")
    assert [row.images for row in lent.examples] == [row.images for row in lender.of("train")]
