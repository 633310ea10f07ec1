"""Options, judgements and boxes: official shapes, and each fault that a record can have."""

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from mmicl.errors import DataError
from mmicl.records import split_reference

KNOWLEDGE = {
    "question_id": "a1", "image_id": 7, "question": "What is it for?",
    "choices": ["rain", "sun", "snow", "wind"], "correct_choice_idx": 1,
    "direct_answers": ["sun", "the sun", "sun"], "difficult_direct_answer": True,
    "rationales": ["because"],
}  # fmt: skip


def test_aokvqa_keeps_choices_and_direct_answers(official, ingest, paint) -> None:
    entries = [
        KNOWLEDGE,
        KNOWLEDGE | {"question_id": "a2", "correct_choice_idx": 4},
        KNOWLEDGE | {"question_id": "a3", "choices": ["rain", ""]},
        KNOWLEDGE | {"question_id": "a4", "direct_answers": []},
        KNOWLEDGE | {"question_id": "a5", "image_id": 8},
        KNOWLEDGE,
    ]
    hidden = {key: KNOWLEDGE[key] for key in ("question_id", "image_id", "question", "choices")}
    folder = official({"aokvqa_v1p0_val.json": entries, "aokvqa_v1p0_test.json": [hidden]})
    paint(folder, "val2017/000000000007.jpg")
    result = ingest("aokvqa", folder, limit=0.9)
    (row,) = result.of("val")
    assert (row.target, row.answer_index, row.group) == ("sun", 1, "coco-7")
    assert row.answers == ("sun", "the sun", "sun")
    assert json.loads(row.meta)["difficult"] is True
    assert result.reasons == {
        "a2": "malformed", "a3": "empty_text", "a4": "malformed", "a5": "missing_image",
        "aokvqa/val/a1": "duplicate_id",
    }  # fmt: skip
    assert result.manifest["unused"] == {"questions of test without public answers": 1}


def test_iconqa_texts_and_pictures(official, ingest, paint) -> None:
    texts = {"question": "How many?", "choices": ["3", "zwölf"], "answer": 1, "grade": "grade1"}
    drawn = {"question": "Which?", "choices": ["choice_0.png", "choice_1.png"], "answer": 0}
    base = "iconqa_data/iconqa/train"
    folder = official(
        {
            f"{base}/choose_txt/10/data.json": texts,
            f"{base}/choose_txt/9/data.json": texts | {"answer": 2},
            f"{base}/choose_txt/11/data.json": "{cut off",
            f"{base}/choose_txt/12/data.json": texts,
            f"{base}/choose_img/3/data.json": drawn,
            f"{base}/choose_img/4/data.json": drawn | {"choices": ["../3/image.png", "x.png"]},
        }
    )
    paint(folder, *(f"{base}/choose_txt/{n}/image.png" for n in (9, 10, 11)))
    paint(folder, *(f"{base}/choose_img/{n}/image.png" for n in (3, 4)))
    paint(folder, *(f"{base}/choose_img/3/choice_{n}.png" for n in (0, 1)))
    result = ingest("iconqa_txt", folder, limit=0.8)
    assert result.targets == {"10": "zwölf"}
    assert list(result.reasons.items()) == [
        ("9", "malformed"), ("11", "malformed_json"), ("12", "missing_image"),
    ]  # fmt: skip
    assert list(result.manifest["sources"]) == [f"{base}/choose_txt/*/data.json"]
    pictures = ingest("iconqa_img", folder, limit=0.8, out="pictures")
    (row,) = pictures.examples
    assert (row.choices, row.target) == (("<image:1>", "<image:2>"), "<image:1>")
    assert len(set(row.images)) == 3
    assert pictures.reasons == {"4": "path_outside"}
    assert "skills" not in json.loads(row.meta)


def test_iconqa_skills_are_those_of_their_file(official, ingest, paint) -> None:
    problem = {"question": "How many?", "choices": ["3", "4"], "answer": 1}
    files = {f"iconqa/test/choose_txt/{n}/data.json": problem for n in (7, 8, 9)}
    skills = {"7": ["counting", "scene"], "8": "counting"}
    folder = official(files | {"mine/skills.json": skills, "iconqa_data/pid2skills.json": skills})
    paint(folder, *(f"iconqa/test/choose_txt/{n}/image.png" for n in (7, 8, 9)))
    named = {"skills": "mine/skills.json"}
    for out, given in (("found", {}), ("named", named)):
        result = ingest("iconqa_txt", folder, limit=0.9, out=out, files=given)
        (row,) = result.examples
        assert json.loads(row.meta)["skills"] == ["counting", "scene"]
        assert result.reasons == {"8": "malformed", "9": "malformed"}
    assert "mine/skills.json" in result.manifest["sources"]
    (folder / "mine/skills.json").write_text("[]")
    with pytest.raises(DataError, match="is no object of skills by problem"):
        ingest("iconqa_txt", folder, files=named, out="none")


def test_vsr(official, ingest, paint) -> None:
    line = {"image": "000000000007.jpg", "caption": "The cat is under it.", "label": 1}
    lines = [
        line, line | {"label": 0, "relation": "under"}, line | {"label": 2},
        line | {"caption": " "}, line | {"image": "x.jpg"}, line | {"image": "8.jpg"},
    ]  # fmt: skip
    folder = official({"dev.jsonl": lines})
    paint(folder, "train2017/000000000007.jpg")
    result = ingest("vsr", folder, limit=0.8)
    assert result.targets == {"1": "true", "2": "false"}
    assert {row.split for row in result.examples} == {"val"}
    assert {row.group for row in result.examples} == {"coco-7"}
    assert result.reasons == {
        "3": "malformed", "4": "empty_text", "5": "malformed", "6": "missing_image",
    }  # fmt: skip


def test_hateful_memes(official, ingest, paint) -> None:
    meme = {"id": 1, "img": "img/00001.png", "label": 1, "text": "zwei\nWörter"}
    lines = [
        meme, meme | {"id": 2, "label": 0}, meme | {"id": 3, "text": ""},
        meme | {"id": 4, "label": 7}, meme | {"id": 5, "img": "../x.png"}, meme,
    ]  # fmt: skip
    hidden = {key: meme[key] for key in ("id", "img", "text")}
    folder = official({"dev_seen.jsonl": lines, "dev.jsonl": [], "test_seen.jsonl": [hidden]})
    paint(folder, "img/00001.png")
    result = ingest("hateful_memes", folder, limit=0.8)
    assert result.targets == {"1": "yes", "2": "no"}
    assert "says: zwei Wörter Is this hateful?" in result.examples[0].question
    assert result.reasons == {
        "3": "empty_text", "4": "malformed", "5": "path_outside",
        "hateful_memes/val/1": "duplicate_id",
    }  # fmt: skip
    assert result.manifest["unused"] == {"memes of test without public answers": 1}


def test_bongard_hoi_makes_two_questions_of_a_problem(official, ingest, paint) -> None:
    names = [f"images/pic/image/train/{n}.jpg" for n in range(14)]
    sides = [[{"im_path": f"./data/hake/{name}", "im_id": 0} for name in names[:7]]]
    sides.append([{"im_path": f"./data/hake/{name}"} for name in names[7:]])
    gone = [{"im_path": "./data/hake/../../gone.jpg"}] * 7
    problems = [
        [*sides, "ride++bike"], [sides[0][:6], sides[1], "ride++bike"], [*sides],
        [sides[0], [{}] * 7, "x"], [sides[0], gone, "x"], "no problem",
    ]  # fmt: skip
    folder = official(
        {"bongard_hoi_test_unseen_obj_seen_act.json": problems, "bongard_hoi_other.json": []}
    )
    paint(folder, *(f"hake/{name}" for name in names))
    result = ingest("bongard_hoi", folder, limit=0.9)
    yes, no = result.examples
    assert (yes.target, no.target) == ("yes", "no")
    assert yes.images[:12] == no.images[:12]
    assert len({*yes.images, *no.images}) == 14
    assert {row.group for row in result.examples} == {"bongard-ride++bike"}
    assert list(result.reasons.values()) == [
        "malformed", "malformed", "malformed", "path_outside", "malformed",
    ]  # fmt: skip


def test_raven_iq_takes_three_four_or_eight_panels(official, ingest, paint) -> None:
    folder = official({"labels.tsv": "B\n6\n7\nA\nC\nA\n"})
    for number, given in ((1, 3), (2, 8), (3, 4), (4, 5), (5, 4), (7, 3)):
        paint(folder, *(f"exp-{number}/query-{n}.png" for n in range(given)))
        paint(folder, *(f"exp-{number}/answer-{n}.png" for n in range(6)))
    (folder / "exp-5" / "answer-5.png").unlink()
    result = ingest("raven_iq", folder, limit=0.8)
    assert result.targets == {"1": "<image:4>", "2": "<image:13>"}
    assert [len(row.images) for row in result.examples] == [9, 14]
    assert result.reasons == {
        "3": "malformed", "4": "image_count", "5": "image_count", "6": "missing_image",
        "7": "missing_annotation",
    }  # fmt: skip


HEAD = "index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tl2-category\n"


def test_mmbench_pictures_within_the_table(official, ingest, paint, tmp_path: Path) -> None:
    paint(tmp_path, "one.png", size=(300, 300))
    picture = base64.b64encode((tmp_path / "one.png").read_bytes()).decode()
    rows = [
        f"241\tWhich?\tLook\tred\tblue\t\t\tB\tcolor\t{picture}\tperception",
        "1000241\tWhich?\tnan\tblue\tred\t\t\tA\tcolor\t241\tperception",
        f'242\t"Say ""it"""\t\ta\tb\tc\td\tD\tx\t{picture}\ty',
        f"243\tWhich?\t\ta\tb\t\t\tC\tx\t{picture}\ty",
        "244\tWhich?\t\ta\tb\t\t\tA\tx\tno base64!\ty",
        f"245\tWhich?\t\ta\tb\t\t\tA\tx\t{picture[: len(picture) // 8 * 4]}\ty",
        "246\tWhich?",
    ]
    test = f"1\tWhich?\t\ta\tb\t\t\t\tx\t{picture}\ty\n"
    folder = official(
        {
            "mmbench_dev_en_20231003.tsv": HEAD + "\n".join(rows) + "\n",
            "MMBench_test_EN.tsv": HEAD + test,
        }
    )
    result = ingest("mmbench", folder, limit=0.8)
    assert result.targets == {"241": "blue", "1000241": "blue", "242": "d"}
    first, circular, third = result.examples
    assert first.question == "Look Which?"
    assert circular.question == "Which?"
    assert first.images == circular.images
    assert first.choices == ("red", "blue")
    assert third.question == 'Say "it"'
    assert result.reasons == {
        "243": "malformed", "244": "malformed", "245": "truncated_image", "record 7": "malformed",
    }  # fmt: skip
    assert result.manifest["unused"] == {"questions of test without public answers": 1}


def reference(number: int, **changes: Any) -> dict[str, Any]:
    sentences = [{"sent_id": number * 10 + n, "sent": f"man {n}", "raw": "x"} for n in range(2)]
    return {
        "ref_id": number, "ann_id": 5, "image_id": 7, "split": "train", "sentences": sentences,
        "file_name": "COCO_train2014_000000000007_5.jpg", **changes,
    }  # fmt: skip


def write_refcoco(official, references: Any) -> Path:
    boxes = {5: [2.5, 1, 4, 3.2], 6: [0, 0, 0, 4], 8: [1, 1]}
    instances = [{"id": key, "image_id": 7, "bbox": box} for key, box in boxes.items()]
    folder = official({"instances.json": {"annotations": instances}})
    (folder / "refs(unc).p").write_bytes(pickle.dumps(references, protocol=2))
    return folder


def test_refcoco_crops_cocos_own_box(official, ingest, paint) -> None:
    references = [
        reference(1),
        reference(2, split="testA"),
        reference(3, ann_id=6),
        reference(4, ann_id=8),
        reference(5, ann_id=9),
        reference(6, image_id=8),
        reference(7, split="minival"),
        reference(8, sentences=[{"sent_id": 1, "sent": ""}]),
    ]
    folder = write_refcoco(official, references)
    paint(folder, "train2014/COCO_train2014_000000000007.jpg")
    paint(folder, "train2014/COCO_train2014_000000000007_5.jpg")  # a crop that a run left
    result = ingest("refcoco", folder, limit=0.8)
    assert result.targets == {"1-10": "man 0", "1-11": "man 1", "2": "man 0"}
    for row in result.examples:
        frame, crop = row.images
        assert split_reference(crop) == (frame, (2, 1, 7, 5))
        assert row.answers == ("man 0", "man 1")
    assert json.loads(result.of("test")[0].meta)["split"] == "testA"
    assert result.manifest["quarantined"] == {"bad_box": 1, "malformed": 3} | {
        "missing_annotation": 1, "empty_text": 1,
    }  # fmt: skip


class Malicious:
    """What unpickles into a call."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("owned",)


@pytest.mark.parametrize("references", [[Malicious()], {"no": "list"}])
def test_refcoco_runs_nothing_of_a_pickle(official, ingest, capsys, references: Any) -> None:
    folder = write_refcoco(official, references)
    with pytest.raises(DataError, match=r"refs\(unc\)\.p: (not a pickle of plain|is no list)"):
        ingest("refcoco", folder)
    assert "owned" not in capsys.readouterr().out
