"""Readers over all real questions of a file, whose pictures and videos are stand-ins.

Every row is held against its raw record by rules written out here once more, some by hand.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmicl.records import Example


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def squeeze(text: str) -> str:
    return " ".join(text.split())


def by_id(rows: Iterable[Example]) -> dict[str, Example]:
    return {row.id: row for row in rows}


def check_videos(rows: Iterable[tuple[Example, str]], frames: int) -> None:
    """Rows of one stand-in have its frames, rows of another one others."""
    pairs = {(stand_in, row.images) for row, stand_in in rows}
    assert all(len(images) == frames for _, images in pairs)
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) > 1


def test_pope(shared_data: Path, take, ingest, link) -> None:
    folder = take(shared_data / "pope" / "coco", "*.json")
    asked = {
        f"{path.stem}-{line['question_id']}": line
        for path in sorted(folder.iterdir())
        for line in read_lines(path)
    }
    pictures = link(folder, *(f"val2014/{line['image']}" for line in asked.values()))
    result = ingest("pope", folder)
    assert result.manifest["splits"] == {"train": 0, "val": 0, "test": 9000}
    assert (result.manifest["quarantined"], len(pictures)) == ({}, 500)
    rows = by_id(result.examples)
    for own, line in asked.items():
        row = rows.pop(f"pope/test/{own}")
        assert (row.question, row.target, row.answers) == (
            line["text"], line["label"], (line["label"],),
        )  # fmt: skip
        assert row.images == (pictures[f"val2014/{line['image']}"],)
        assert row.group == f"coco-{int(line['image'][-16:-4])}"
        assert json.loads(row.meta)["setting"] == own.split("-")[0].split("_")[-1]
    assert not rows
    row = by_id(result.examples)["pope/test/coco_pope_popular-2"]
    assert row.question == "Is there a dining table in the image?"
    assert (row.target, row.group) == ("no", "coco-310196")


def test_nlvr2(shared_data: Path, take, ingest, link) -> None:
    folder = take(shared_data / "nlvr2", "dev.json")
    lines = read_lines(folder / "dev.json")
    pairs = {line["identifier"]: line["identifier"].rpartition("-")[0] for line in lines}
    names = [f"images/dev/{pair}-img{side}.png" for pair in pairs.values() for side in (0, 1)]
    pictures = link(folder, *names)
    result = ingest("nlvr2", folder)
    assert result.manifest["splits"] == {"train": 0, "val": 6982, "test": 0}
    assert Counter(row.target for row in result.examples) == {"true": 3551, "false": 3431}
    rows = by_id(result.examples)
    for line in lines:
        identifier = line["identifier"]
        row = rows.pop(f"nlvr2/val/{identifier}")
        assert (row.question, row.target) == (squeeze(line["sentence"]), line["label"].lower())
        assert row.images == tuple(
            pictures[f"images/dev/{pairs[identifier]}-img{side}.png"] for side in (0, 1)
        )
        name, pictured, _, sentence = identifier.split("-")
        assert row.group == f"{name}-{pictured}-{sentence}"
    assert not rows
    first = result.examples[0]
    assert first.id == "nlvr2/val/dev-850-0-0"
    assert first.question.startswith("The right image shows a curving walkway of dark glass")
    assert (first.target, first.group) == ("false", "dev-850-0")


@pytest.mark.parametrize(
    ("name", "file", "count", "videos", "by_hand"),
    [
        (
            "msrvtt_qa", "val_qa.json", 6027, 248,
            ("158607", "what does a person on a motorbike riding thru?", "snow", "msrvtt-6514"),
        ),
        ("msvd_qa", "val.csv", 6415, 245, ("37347", "what is the man doing", "walk", "msvd-1450")),
    ],
)  # fmt: skip
def test_questions_of_one_word_about_videos(
    name: str, file: str, count: int, videos: int, by_hand: tuple[str, ...],
    shared_data: Path, take, ingest, link,
) -> None:  # fmt: skip
    folder = take(shared_data / name, file)
    if name == "msrvtt_qa":
        asked = {str(one["id"]): one for one in json.loads((folder / file).read_text())}
        video = {own: f"videos/video{one['video_id']}.mp4" for own, one in asked.items()}
    else:
        asked = {one["qid"]: one for one in read_csv(folder / file)}
        video = {own: f"videos/vid{one['video']}.mp4" for own, one in asked.items()}
    films = link(folder, *video.values())
    result = ingest(name, folder, frames=2)
    assert result.manifest["splits"] == {"train": 0, "val": count, "test": 0}
    assert len({row.group for row in result.examples}) == len(films) == videos
    rows = {row.id.rpartition("/")[2]: row for row in result.examples}
    assert rows.keys() == asked.keys()
    for own, row in rows.items():
        answer = asked[own]["answer"]
        assert (row.question, row.target) == (squeeze(asked[own]["question"]), answer)
        assert row.answers == (answer,)
    check_videos(((row, films[video[own]]) for own, row in rows.items()), frames=2)
    row = rows[by_hand[0]]
    assert (row.question, row.target, row.group) == by_hand[1:]


def test_nextqa(shared_data: Path, take, ingest, link) -> None:
    folder = take(shared_data / "nextqa", "val.csv")
    asked = {f"{one['video']}_{one['qid']}": one for one in read_csv(folder / "val.csv")}
    films = link(folder, *(f"videos/{one['video']}.mp4" for one in asked.values()))
    result = ingest("nextqa", folder, frames=2)
    assert result.manifest["splits"] == {"train": 0, "val": 4996, "test": 0}
    assert len(films) == 570
    rows = {row.id.rpartition("/")[2]: row for row in result.examples}
    assert rows.keys() == asked.keys()
    for own, row in rows.items():
        options = tuple(squeeze(asked[own][f"a{place}"]) for place in range(5))
        answer = int(asked[own]["answer"])
        assert (row.question, row.choices) == (squeeze(asked[own]["question"]), options)
        assert (row.answer_index, row.target) == (answer, options[answer])
        assert json.loads(row.meta)["type"] == asked[own]["type"]
    paired = ((row, films[f"videos/{asked[own]['video']}.mp4"]) for own, row in rows.items())
    check_videos(paired, frames=2)
    row = rows["4010069381_6"]
    assert row.question == "how do the two man play the instrument"
    assert row.target == row.choices[0] == "roll the handle"


@pytest.mark.parametrize(
    ("name", "count", "photos"), [("textvqa", 2493, 1583), ("vizwiz", 2159, 2159)]
)
def test_vqa_form(
    name: str, count: int, photos: int, shared_data: Path, take, ingest, link
) -> None:
    """Neither file has `answer_type`, and `multiple_choice_answer` often isn't the most common."""
    folder = take(shared_data / name, "val_*_vqa_format.json")
    questions, annotations = (
        json.loads((folder / f"val_{part}_vqa_format.json").read_text())[part]
        for part in ("questions", "annotations")
    )
    assert not any("answer_type" in one for one in annotations)
    suffix = ".jpg" if name == "textvqa" else ""
    pictures = link(folder, *(f"images/{one['image_id']}{suffix}" for one in questions))
    result = ingest(name, folder)
    assert result.manifest["splits"] == {"train": 0, "val": count, "test": 0}
    assert len(pictures) == len({row.group for row in result.examples}) == photos
    rows = {int(row.id.rpartition("/")[2]): row for row in result.examples}
    unlike = 0
    for question, annotation in zip(questions, annotations, strict=True):
        row = rows.pop(question["question_id"])
        said = [squeeze(one["answer"]) for one in annotation["answers"]]
        assert row.question == squeeze(question["question"])
        assert row.answers == tuple(one["answer"] for one in annotation["answers"])
        assert len(row.answers) == 10
        assert row.target == max(said, key=said.count)
        assert row.images == (pictures[f"images/{question['image_id']}{suffix}"],)
        assert json.loads(row.meta)["answer_type"] == ""
        unlike += row.target != squeeze(annotation["multiple_choice_answer"])
    assert not rows
    assert unlike == {"textvqa": 619, "vizwiz": 834}[name]
    grey = next(row.images[0] for row in result.examples if image_mode(result, row) == "L")
    assert result.store.load(grey).mode == "RGB"


def image_mode(result: Any, row: Example) -> str:
    """The mode of a row's official picture, before anything is converted."""
    return Image.open(io.BytesIO(result.store.encoded(row.images[0]))).mode


def test_okvqa(shared_data: Path, take, ingest, link) -> None:
    """Every other real question, with annotations of the official form, which are not here."""
    folder = take(shared_data / "okvqa", "*.json")
    path = folder / "OpenEnded_mscoco_train2014_questions.json"
    questions = json.loads(path.read_text())["questions"]
    assert len(questions) == 9009
    questions = questions[::2]
    path.write_text(json.dumps({"questions": questions}))
    annotations = [annotate(one) for one in questions]
    path = folder / "mscoco_train2014_annotations.json"
    path.write_text(json.dumps({"annotations": annotations}))
    names = {
        one["question_id"]: f"train2014/COCO_train2014_{one['image_id']:012}.jpg"
        for one in questions
    }
    pictures = link(folder, *names.values())
    result = ingest("okvqa", folder)
    assert result.manifest["splits"] == {"train": 4505, "val": 0, "test": 0}
    assert len(pictures) == len({row.group for row in result.examples})
    rows = by_id(result.examples)
    for one in questions:
        row = rows.pop(f"okvqa/train/{one['question_id']}")
        assert row.question == squeeze(one["question"])
        assert (row.target, len(row.answers)) == (f"most {one['question_id']}", 10)
        assert row.images == (pictures[names[one["question_id"]]],)
        assert row.group == f"coco-{one['image_id']}"
    assert not rows
    row = result.examples[0]
    assert (row.id, row.group) == ("okvqa/train/516065", "coco-51606")
    assert row.question == "What is the hairstyle of the blond called?"


def annotate(question: dict[str, Any]) -> dict[str, Any]:
    """An annotation as OK-VQA has them: five people's answers, each twice."""
    own = question["question_id"]
    people = ["one", f"most {own}", "two", f"most {own}", "three"]
    said = [answer for answer in people for _ in range(2)]
    return {
        "image_id": question["image_id"], "question_id": own, "answer_type": "other",
        "question_type": "four", "confidence": 3,
        "answers": [
            {"answer_id": number, "answer": one, "raw_answer": one, "answer_confidence": "yes"}
            for number, one in enumerate(said, start=1)
        ],
    }  # fmt: skip


def test_mme(shared_data: Path, tmp_path: Path, ingest, link) -> None:
    """The questions of the results' templates, each picture's in a file as officially."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for path in sorted((shared_data / "mme" / "Your_Results").iterdir()):
        for line in path.read_text(encoding="utf-8").splitlines():
            picture, asked = line.split("\t", 1)
            pairs.setdefault((path.stem, picture), []).append(asked)
    folder = tmp_path / "mme"
    pictures = link(folder, *("/".join(names) for names in pairs))
    for (subtask, picture), lines in pairs.items():
        text = folder / subtask / f"{Path(picture).stem}.txt"
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = ingest("mme", folder)
    assert result.manifest["splits"] == {"train": 0, "val": 0, "test": 2374}
    assert (result.manifest["records"], result.manifest["quarantined"]) == (1187, {})
    assert Counter(row.target for row in result.examples) == {"yes": 1187, "no": 1187}
    rows = by_id(result.examples)
    for (subtask, picture), lines in pairs.items():
        for number, line in enumerate(lines):
            row = rows.pop(f"mme/test/{subtask}-{Path(picture).stem}-{number}")
            asked, label = line.split("\t")
            assert (row.question, row.target.capitalize()) == (squeeze(asked), label)
            assert row.images == (pictures[f"{subtask}/{picture}"],)
    assert not rows


def test_llava_bench(shared_data: Path, take, ingest, link) -> None:
    folder = take(shared_data / "llava", "coco2014_val_gpt4_qa_30x3.jsonl")
    lines = read_lines(folder / "coco2014_val_gpt4_qa_30x3.jsonl")
    pictures = link(folder, *(f"val2014/{line['image']}" for line in lines))
    result = ingest("llava", folder)
    assert result.manifest["splits"] == {"train": 0, "val": 0, "test": 45}
    for row, line in zip(result.examples, lines, strict=True):
        assert row.id == f"llava/test/{line['id']}-{line['type']}"
        assert (row.question, row.target) == (squeeze(line["instruction"]), squeeze(line["output"]))
        assert row.images == (pictures[f"val2014/{line['image']}"],)
        assert row.group == f"coco-{int(line['id'])}"
    assert result.examples[0].question == "What is the position of the skateboard in the image?"


def test_mini_imagenet(shared_data: Path, tmp_path: Path, ingest, link) -> None:
    """Every sixteenth picture of all classes; the list of names is a stand-in too."""
    folder = tmp_path / "mini"
    folder.mkdir()
    tables = {}
    for split, table in (("train", 38400), ("val", 9600)):
        lines = (shared_data / "mini_imagenet" / f"{split}.csv").read_text().splitlines()
        assert len(lines) - 1 == table
        (folder / f"{split}.csv").write_text("\n".join([lines[0], *lines[1::16]]) + "\n")
        tables[split] = read_csv(folder / f"{split}.csv")
    labels = {split: {row["label"] for row in rows} for split, rows in tables.items()}
    assert (len(labels["train"]), len(labels["val"])) == (64, 16)
    assert not labels["train"] & labels["val"]
    names = "".join(f"{one} name {one}, other\n" for one in labels["train"] | labels["val"])
    (folder / "LOC_synset_mapping.txt").write_text(names)
    table = [row for rows in tables.values() for row in rows]
    pictures = link(folder, *(f"images/{row['filename']}" for row in table))
    result = ingest("mini_imagenet", folder)
    assert result.manifest["splits"] == {"train": 2400, "val": 600, "test": 0}
    for row, official in zip(result.examples, table, strict=True):
        assert row.id.endswith(official["filename"])
        assert row.answers == (row.target, "other") == (f"name {official['label']}", "other")
        assert row.images == (pictures[f"images/{official['filename']}"],)
