"""Questions with written answers: official shapes, and each fault that a record can have."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmicl.errors import DataError
from mmicl.sources.official import RecordError
from mmicl.sources.vqa_form import most_common

COCO = "train2014/COCO_train2014_000000000007.jpg"


def ten(*answers: str) -> list[dict[str, Any]]:
    """Ten annotated answers, the last one said by all who are left."""
    said = [*answers, *[answers[-1]] * (10 - len(answers))]
    return [{"answer": text, "answer_confidence": "yes"} for text in said]


def question(number: int, image: int | str = 7, text: str | None = None) -> dict[str, Any]:
    asked = f"question {number}?" if text is None else text
    return {"question_id": number, "image_id": image, "question": asked}


def annotation(number: int, *answers: str, image: int | str = 7) -> dict[str, Any]:
    return {"question_id": number, "image_id": image, "answers": ten(*answers)}


def okvqa(questions: list[Any], annotations: list[Any]) -> dict[str, Any]:
    return {
        "OpenEnded_mscoco_train2014_questions.json": {"questions": questions},
        "mscoco_train2014_annotations.json": {"annotations": annotations},
    }


def test_okvqa_joins_two_files(official, ingest, paint) -> None:
    questions = [question(1), question(2), question(3), question(4, image=8), question(5)]
    questions += [question(6, text="图?"), question(7), "no question", question(1)]
    annotations = [
        annotation(1, "surf", "", "surfen 🏄"),
        annotation(2, ""),
        annotation(4, "x", image=8),
        annotation(5, "x", image=9),
        annotation(6, "x"),
        annotation(7, "<image2>"),
        annotation(8, "nobody asked"),
        annotation(1, "again"),
        {"question_id": 9},
    ]
    folder = official(okvqa(questions, annotations))
    paint(folder, COCO)
    result = ingest("okvqa", folder, limit=0.95)
    assert result.targets == {"1": "surfen 🏄"}
    (row,) = result.examples
    assert len(row.answers) == 10
    assert row.answers[1] == ""
    assert row.group == "coco-7"
    assert result.manifest["unused"] == {"annotations of train2014 without a question": 1}
    assert result.reasons == {
        "annotation 1": "duplicate_id", "annotation 9": "malformed", "2": "empty_text",
        "3": "missing_annotation", "4": "missing_image", "5": "malformed", "6": "reserved_token",
        "7": "reserved_token", "record 8": "malformed", "okvqa/train/1": "duplicate_id",
    }  # fmt: skip


def test_annotations_of_another_split_are_refused(official, ingest, paint) -> None:
    files = okvqa([question(1), question(2)], [annotation(11, "x"), annotation(12, "y")])
    folder = official(files)
    paint(folder, COCO)
    with pytest.raises(DataError, match=r"2 of 2 records .*missing_annotation"):
        ingest("okvqa", folder, limit=0.9)


def test_the_most_common_answer_is_the_first_of_equals() -> None:
    assert most_common(["b", "a ", " a", "b"]) == "b"
    assert most_common(["", "", "x"]) == "x"
    with pytest.raises(RecordError, match="empty_text"):
        most_common([" ", ""])


def test_textvqa_official_file(official, ingest, paint) -> None:
    good = question(1, "abc") | {"answers": ["nike"] * 9 + ["just do it"], "image_width": 1024}
    folder = official(
        {
            "TextVQA_0.5.1_train.json": {"data": [good, question(2, "abc"), [], good]},
            "TextVQA_0.5.1_test.json": {"data": [question(3, "abc")]},
        }
    )
    paint(folder, "train_images/abc.jpg")
    result = ingest("textvqa", folder, limit=0.8)
    assert result.targets == {"1": "nike"}
    assert result.manifest["unused"] == {"questions of test without public answers": 1}
    assert result.manifest["quarantined"] == {"malformed": 2, "duplicate_id": 1}


def test_vizwiz_official_array(official, ingest, paint) -> None:
    good = {
        "image": "VizWiz_train_00000001.jpg", "question": "Welche Suppe? Danke schön.",
        "answers": ten("soup", "unanswerable"), "answer_type": "unanswerable", "answerable": 0,
    }  # fmt: skip
    hidden = {"image": "VizWiz_test_00000000.jpg", "question": "What?"}
    folder = official({"Annotations/train.json": [good, hidden], "Annotations/test.json": [hidden]})
    paint(folder, "train/VizWiz_train_00000001.jpg")
    result = ingest("vizwiz", folder, limit=0.5)
    assert result.targets == {"VizWiz_train_00000001": "unanswerable"}
    assert json.loads(result.examples[0].meta)["answerable"] == 0
    assert result.reasons == {"VizWiz_test_00000000.jpg": "malformed"}
    assert result.manifest["unused"] == {"questions of test without public answers": 1}


def test_gqa(official, ingest, paint) -> None:
    asked = {
        "imageId": "2370799", "question": "Is it red?", "answer": "no",
        "fullAnswer": "No, it is blue.", "isBalanced": True,
        "types": {"structural": "verify", "semantic": "attr", "detailed": "verifyAttr"},
    }  # fmt: skip
    entries = {
        "001": asked, "002": asked | {"answer": ""}, "003": asked | {"imageId": "1"}, "004": 7,
        "005": {"imageId": "2370799", "question": "Where?"},
        "006": asked | {"imageId": "../../x"},
    }  # fmt: skip
    folder = official(
        {
            "questions1.2/train_balanced_questions.json": entries,
            "testdev_balanced_questions.json": {"t1": asked},
        }
    )
    paint(folder, "images/2370799.jpg")
    result = ingest("gqa", folder, limit=0.8)
    assert result.targets == {"001": "no", "t1": "no"}
    assert result.of("test")[0].group == result.of("train")[0].group == "vg-2370799"
    assert json.loads(result.of("train")[0].meta)["full_answer"] == "No, it is blue."
    assert "valid" not in json.loads(result.of("test")[0].meta)
    assert result.reasons == {
        "002": "empty_text", "003": "missing_image", "004": "malformed", "005": "malformed",
        "006": "path_outside",
    }  # fmt: skip


def test_gqa_reads_what_balanced_questions_entail_and_what_may_be_answered(
    official, ingest, paint
) -> None:
    asked = {"imageId": "7", "question": "Is it red?", "answer": "no", "isBalanced": True}
    more = asked | {"isBalanced": False, "entailed": ["a"]}
    choices = {"valid": ["yes", "no"], "plausible": ["no"]}
    files = {
        "val_balanced_questions.json": {
            "a": asked | {"entailed": ["a", "b", "x"]}, "c": asked, "d": asked, "e": asked,
        },
        "mine/all.json": {"a": asked, "b": more, "z": more},
        "eval/val_choices.json": {"a": choices, "c": choices | {"valid": "no"}, "e": choices},
        "train_balanced_questions.json": {"t": asked | {"entailed": ["z"]}},
        "train_all_questions.json": {"z": more},
    }  # fmt: skip
    folder = official(files)
    paint(folder, "images/7.jpg")
    result = ingest("gqa", folder, limit=0.8, files={"val_all": "mine/all.json"})
    assert set(result.targets) == {"t", "a", "b", "e"}
    rows = {row.id.split("/")[2]: json.loads(row.meta) for row in result.examples}
    assert [rows[key]["balanced"] for key in "abe"] == [True, False, True]
    assert rows["a"]["entailed"] == ["a", "b", "x"]
    assert (rows["a"]["valid"], rows["a"]["plausible"]) == (["yes", "no"], ["no"])
    assert "valid" not in rows["b"]
    assert "entailed" not in rows["t"]
    assert result.reasons == {"c": "malformed", "d": "malformed"}
    assert result.manifest["unused"] == {"entailed questions that val_all_questions.json lacks": 1}
    (folder / "eval/val_choices.json").write_text("[]")
    with pytest.raises(DataError, match="is no object of choices by question"):
        ingest("gqa", folder, out="none")


def test_stvqa(official, ingest, paint) -> None:
    place = "coco-text/COCO_train2014_000000000007.jpg"
    asked = question(1) | {"file_path": place, "answers": ["exit", "exit sign", "exit"]}
    entries = [
        asked, asked | {"question_id": 2, "answers": []},
        asked | {"question_id": 3, "file_path": "icdar/1.jpg"},
        asked | {"question_id": 4, "file_path": "/etc/1.jpg"}, asked,
    ]  # fmt: skip
    folder = official(
        {
            "train_task_3.json": {"data": entries},
            "test_task_3.json": {"data": [question(9) | {"file_path": place}]},
        }
    )
    paint(folder, f"images/{place}", "train/icdar/1.jpg")
    result = ingest("stvqa", folder, limit=0.8)
    assert result.targets == {"1": "exit", "3": "exit"}
    assert [row.group for row in result.examples] == ["coco-7", "stvqa-icdar/1.jpg"]
    assert result.reasons == {
        "2": "malformed",
        "4": "path_outside",
        "stvqa/train/1": "duplicate_id",
    }
    assert result.manifest["unused"] == {"questions of test without public answers": 1}


def test_ivqa_takes_the_answer_most_people_gave(official, ingest, film) -> None:
    head = "video_id,start,end,question,answer1,answer2,answer3,answer4,answer5\n"
    rows = [
        'abc,3,9,"What, then?",knife,a knife,knife,,knife',
        "def,0,5,What?,x,x,x,x,x",
        "abc,3,9,What?,,,,,",
        "abc,3,9,What?,one",
        "gone,3,9,What?,x,x,x,x,x",
    ]
    folder = official({"test.csv": head + "\n".join(rows) + "\n"})
    film(folder, "videos/abc.mp4", "videos/def_0_5.mp4")
    result = ingest("ivqa", folder, limit=0.8)
    assert result.targets == {"1": "knife", "2": "x"}
    assert result.examples[0].question == "What, then?"
    assert result.examples[0].answers == ("knife", "a knife", "knife", "knife")
    assert result.reasons == {"3": "empty_text", "4": "malformed", "5": "missing_video"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_id,question\nabc,What?\n", "has no column answer1"),
        ("", "has no column video_id"),
        ('video_id,question,"answer1\n', "not a table in UTF-8"),
    ],
)
def test_a_table_of_another_form_is_refused(official, ingest, text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"test\.csv: .*{message}"):
        ingest("ivqa", official({"test.csv": text}))


def test_a_table_in_another_encoding_is_refused(official, ingest) -> None:
    folder = official({"val.csv": ""})
    (folder / "val.csv").write_bytes("video,question,answer,qid\n1,wo,Käse,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"val\.csv: not a table in UTF-8"):
        ingest("msvd_qa", folder)


def test_nextqa_open_has_a_second_answer_in_test(official, ingest, film) -> None:
    head = "video,frame_count,width,height,question,answer,qid,type,additional_ref_answer\n"
    rows = "7,9,4,4,why is it,tired,0,CW,sleepy\n7,9,4,4,how many,two,1,DC,\n7,9,4,4,who,,2,DO,\n"
    folder = official({"test.csv": head + rows, "map_vid_vidorID.json": {"7": "1150/7"}})
    film(folder, "NExTVideo/1150/7.mp4")
    result = ingest("nextqa_open", folder, limit=0.5)
    assert [row.answers for row in result.examples] == [("tired", "sleepy"), ("two",)]
    assert result.reasons == {"7_2": "empty_text"}


def test_wikiart_joins_three_lists(official, ingest, paint) -> None:
    files = {
        "genre": ["Realism/a.jpg,0", "Realism/b é.jpg,1", "Cubism/c.jpg,0", "Cubism/d.jpg,9"],
        "artist": ["Realism/a.jpg,0", "Realism/b é.jpg,0", "Cubism/d.jpg,0"],
        "style": ["Images,Labels", "Realism/a.jpg,1", "Realism/b é.jpg,1", "Cubism/d.jpg,0"],
    }
    folder = official(
        {f"wikiart_csv/{kind}_train.csv": "\n".join(lines) for kind, lines in files.items()}
        | {
            "wikiart_csv/genre_class.txt": "0 cityscape\n1 landscape\n",
            "wikiart_csv/artist_class.txt": "0 Vincent_van_Gogh\n",
            "wikiart_csv/style_class.txt": "0 Cubism\n1 New_Realism\n",
        }
    )
    paint(folder, *(f"wikiart/{n}.jpg" for n in ("Realism/a", "Realism/b é", "Cubism/d")))
    result = ingest("wikiart", folder, limit=0.5)
    assert result.targets == {
        "Realism/a.jpg": "cityscape by Vincent van Gogh in the style of New Realism",
        "Realism/b é.jpg": "landscape by Vincent van Gogh in the style of New Realism",
    }
    assert result.reasons == {"Cubism/d.jpg": "unknown_class"}
    assert result.manifest["unused"] == {"artworks without a genre, an artist or a style": 1}
    (folder / "wikiart_csv" / "style_class.txt").unlink()
    with pytest.raises(DataError, match=r"no style_class\.txt"):
        ingest("wikiart", folder)


def test_minecraft(official, ingest, paint) -> None:
    asked = {"image_id": "1.png", "question_split": "What animal is it?", "caption": "a cow"}
    entries = [asked, asked | {"caption": ""}, asked | {"image_id": "2.png"}]
    folder = official({"filter_cap.json": {"annotations": entries}})
    paint(folder, "image/1.png")
    result = ingest("minecraft", folder, limit=0.8)
    assert result.targets == {"1": "a cow"}
    assert result.reasons == {"2": "empty_text", "3": "missing_image"}


def test_llava_conversations_of_one_photo(official, ingest, paint) -> None:
    def talk(*turns: str, image: str = "000000000007.jpg") -> dict[str, Any]:
        said = [
            {"from": "gpt" if place % 2 else "human", "value": text}
            for place, text in enumerate(turns)
        ]
        return {"id": "000000000007", "image": image, "conversations": said}

    entries = [
        talk("<image>\nWhat is it?", "A cat.", "Which colour?", "Grey."),
        talk("Describe it.\n<image>", "A grey\ncat."),
        talk("What is it?", "A cat."),
        talk("<image> What is it?", "A cat.", "Why?"),
        talk("<image> What is it?", " "),
        talk("<image> What is it?", "x", image="vg/no_number.jpg"),
    ]
    folder = official({"llava_instruct_150k.json": entries})
    paint(folder, "train2017/000000000007.jpg")
    result = ingest("llava", folder, limit=0.8)
    assert result.targets == {"000000000007-0": "Grey.", "000000000007-1": "A grey cat."}
    assert result.examples[0].question == "What is it? A cat. Which colour?"
    assert list(result.reasons.values()) == ["image_count", "malformed", "empty_text", "malformed"]


def test_vqav2_in_karpathys_split(world, ingest) -> None:
    folder = world("vqav2")
    path = folder / "v2_OpenEnded_mscoco_val2014_questions.json"
    asked = json.loads(path.read_text())["questions"]
    photos = sorted({entry["image_id"] for entry in asked})
    places = dict(zip(photos, ("test", "restval", "val"), strict=False))
    images = [{"cocoid": photo, "split": split} for photo, split in places.items()]
    before = ingest("vqav2", folder).examples
    (folder / "dataset_coco.json").write_text(json.dumps({"images": images}))
    wanted = {"test": "test", "restval": "train", "val": "val"}
    after = {row.id.rpartition("/")[2]: row for row in ingest("vqav2", folder, out="x").examples}
    for row in before:
        photo = json.loads(row.meta)["image_id"]
        expected = wanted[places[photo]] if photo in places else row.split
        assert after[row.id.rpartition("/")[2]].split == expected
    (folder / "dataset_coco.json").write_text(json.dumps({"images": [{"cocoid": 1}]}))
    with pytest.raises(DataError, match=r"dataset_coco\.json: photo 1: malformed.*split"):
        ingest("vqav2", folder, out="y")


@pytest.mark.parametrize(
    ("reader", "name"),
    [("gqa", "val_balanced_questions.json"), ("diffusiondb", "part-1/part-1.json")],
)
def test_a_table_that_is_a_link_to_the_outside_is_refused(
    official, ingest, tmp_path: Path, reader: str, name: str
) -> None:
    folder = official({name: {}})
    (folder / name).rename(tmp_path / "secret.json")
    (folder / name).symlink_to(tmp_path / "secret.json")
    with pytest.raises(DataError, match="leads out of the dataset's folder"):
        ingest(reader, folder)
