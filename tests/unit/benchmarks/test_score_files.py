"""`mmicl score`: what is refused, with file, record and remedy, and what is counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmicl.benchmarks.official import OFFICIAL
from mmicl.benchmarks.score import score_files
from mmicl.errors import DataError, MmiclError, UserError

QUESTIONS = [
    {"question_id": 1, "text": "Is there a cat?", "label": "yes"},
    {"question_id": 2, "text": "Is there a dog?", "label": "no"},
]
ANNOTATIONS = {
    "annotations": [
        {
            "question_id": key, "question_type": "what", "answer_type": "other",
            "answers": [{"answer": "red", "answer_id": n} for n in range(10)],
        }
        for key in (7, 8)
    ]
}  # fmt: skip


def write(path: Path, value: Any) -> Path:
    text = value if isinstance(value, str) else json.dumps(value)
    path.write_text(text)
    return path


def lines(*values: Any) -> str:
    return "\n".join(json.dumps(value) for value in values)


def test_an_unknown_benchmark_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nosuch: no such benchmark; there are aokvqa.*winoground"):
        score_files("nosuch", tmp_path)


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_missing_files_are_user_errors(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        score_files(name, tmp_path / "gone.json")


@pytest.mark.parametrize("name", sorted(OFFICIAL))
@pytest.mark.parametrize("content", ["", "[]", "{", "[1]", '"x"', "\xff\x00", "a,b\nc", "null"])
def test_malformed_files_are_one_line_errors(name: str, content: str, tmp_path: Path) -> None:
    predictions = tmp_path / "predictions"
    if name in ("mme", "blink"):
        predictions.mkdir()
        file = "OCR.txt" if name == "mme" else "Counting.json"
        (predictions / file).write_bytes(content.encode("latin-1"))
        references = None
    else:
        predictions.write_bytes(content.encode("latin-1"))
        references = predictions
    with pytest.raises(MmiclError) as caught:
        score_files(name, predictions, references)
    assert caught.value.kind in ("user", "data")
    assert "\n" not in str(caught.value)
    assert str(predictions) in str(caught.value)


def test_pope_answers_must_follow_the_questions(tmp_path: Path) -> None:
    questions = write(tmp_path / "questions.json", lines(*QUESTIONS))
    answers = [{"question": one["text"], "answer": "yes"} for one in QUESTIONS]
    good = write(tmp_path / "good.jsonl", lines(*answers))
    assert score_files("pope", good, questions)["metrics"]["accuracy"] == 0.5
    swapped = write(tmp_path / "swapped.jsonl", lines(*answers[::-1]))
    with pytest.raises(DataError, match=r"swapped\.jsonl, line 1: the question is not 'Is there a"):
        score_files("pope", swapped, questions)
    short = write(tmp_path / "short.jsonl", lines(answers[0]))
    with pytest.raises(DataError, match="1 answers for 2 questions"):
        score_files("pope", short, questions)
    number = write(tmp_path / "number.jsonl", lines(*[{"answer": 1}] * 2))
    with pytest.raises(DataError, match="answer is 1, not str"):
        score_files("pope", number, questions)


def test_pope_says_when_precision_is_not_defined(tmp_path: Path) -> None:
    questions = write(tmp_path / "questions.json", QUESTIONS)
    rows = [{"question": one["text"], "answer": "no"} for one in QUESTIONS]
    answers = write(tmp_path / "answers.jsonl", lines(*rows))
    scored = score_files("pope", answers, questions)
    assert scored["metrics"]["precision"] == 0
    assert scored["warnings"] == ["no answer was yes: precision is not defined, given as 0"]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([(7, "red")], "1 of 2 have no prediction, the first is 8"),
        ([(7, "red"), (8, "red"), (8, "red")], "8 stands twice"),
        ([(7, "red"), (8, "red"), (9, "red")], "the first is 9"),
        ([(7, "red"), (8, 3)], "answer is 3, not str"),
        (
            [(7, "red"), ("8", "red")],
            r"ids are of type str, those of the references of type int \(8\)",
        ),
        ([(7, "red"), (True, "red")], "question_id is true, not int or str"),
    ],
)
def test_vqa_results_must_answer_each_question_once(
    answers: list[tuple[Any, Any]], message: str, tmp_path: Path
) -> None:
    references = write(tmp_path / "annotations.json", ANNOTATIONS)
    rows = [{"question_id": key, "answer": text} for key, text in answers]
    with pytest.raises(DataError, match=message):
        score_files("vqav2", write(tmp_path / "results.json", rows), references)


def test_references_may_be_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "val_annotations.json", ANNOTATIONS)
    rows = [{"question_id": key, "answer": "red"} for key in (7, 8)]
    results = write(tmp_path / "results.json", rows)
    assert score_files("okvqa", results, tmp_path)["metrics"]["overall"] == 100.0
    write(tmp_path / "test_annotations.json", ANNOTATIONS)
    with pytest.raises(UserError, match="several files fit"):
        score_files("okvqa", results, tmp_path)


def test_references_are_asked_for_by_name(tmp_path: Path) -> None:
    predictions = write(tmp_path / "predictions.csv", "dev-1-0-0,True")
    with pytest.raises(UserError, match=r"add --references \(dev\.json\)"):
        score_files("nlvr2", predictions)


def test_nlvr2_counts_what_it_passes_over(tmp_path: Path) -> None:
    references = write(
        tmp_path / "dev.json", lines({"identifier": "dev-1-0-0", "label": "True", "sentence": "x"})
    )
    predictions = write(tmp_path / "predictions.csv", "dev-1-0-0,true\ndev-9-0-0,False\n")
    scored = score_files("nlvr2", predictions, references)
    assert scored["metrics"] == {"accuracy": 1.0, "consistency": 1.0}
    assert scored["warnings"][0].startswith("1 predictions for unknown identifiers")
    bad = write(tmp_path / "bad.csv", "dev-1-0-0,maybe\n")
    with pytest.raises(DataError, match="line 1: 'maybe' is neither True nor False"):
        score_files("nlvr2", bad, references)


def test_nlvr1_wants_all_six_orders(tmp_path: Path) -> None:
    references = write(tmp_path / "dev.json", lines({"identifier": "25-0", "label": "true"}))
    rows = [f"dev-25-0-{order}.png,{'true' if order else 'false'}" for order in range(6)]
    predictions = write(tmp_path / "predictions.csv", "\n".join(rows))
    scored = score_files("nlvr1", predictions, references)
    assert scored == {
        "benchmark": "nlvr1", "n": 6, "metrics": {"accuracy": 5 / 6, "consistency": 0.0}
    }  # fmt: skip
    with pytest.raises(DataError, match="1 of 6 have no prediction, the first is 25-0-5"):
        score_files("nlvr1", write(tmp_path / "five.csv", "\n".join(rows[:5])), references)


def test_nextqa_refuses_a_file_with_its_own_truth(tmp_path: Path) -> None:
    references = write(tmp_path / "val.csv", "video,qid,type,answer\n4,6,CH,0\n")
    wrong = write(tmp_path / "wrong.json", {"4_6": {"prediction": 1, "answer": 1}})
    with pytest.raises(DataError, match=r"4_6: says that the answer is 1, val\.csv says 0"):
        score_files("nextqa", wrong, references)
    bare = write(tmp_path / "bare.json", {"4_6": 0})
    assert score_files("nextqa", bare, references)["metrics"]["Acc"] == 100.0


def test_a_json_key_twice_is_refused(tmp_path: Path) -> None:
    references = write(tmp_path / "val.csv", "video,qid,type,answer\n4,6,CH,0\n")
    twice = write(tmp_path / "twice.json", '{"4_6": 0, "4_6": 1}')
    with pytest.raises(DataError, match="4_6 stands twice"):
        score_files("nextqa", twice, references)


def test_captions_of_unknown_images_are_refused_and_missing_ones_counted(tmp_path: Path) -> None:
    annotations = [{"image_id": key, "caption": "a red cat on a mat"} for key in (1, 2, 3)]
    references = write(tmp_path / "captions.json", {"annotations": annotations})
    rows = [{"image_id": key, "caption": "a red cat on a mat"} for key in (1, 2)]
    scored = score_files("coco_caption", write(tmp_path / "two.json", rows), references)
    assert scored["n"] == 2
    assert scored["warnings"][0].startswith("1 of 3 images have no caption")
    rows.append({"image_id": 9, "caption": "x"})
    with pytest.raises(DataError, match="1 captions of images without references, the first 9"):
        score_files("coco_caption", write(tmp_path / "three.json", rows), references)


def test_winoground_wants_four_scores_an_item(tmp_path: Path) -> None:
    good = [("0_c0_i0", 0.9), ("0_c0_i1", 0.1), ("0_c1_i0", 0.2), ("0_c1_i1", 0.8)]
    rows = [{"label": label, "score": value} for label, value in good]
    scored = score_files("winoground", write(tmp_path / "scores.jsonl", lines(*rows)))
    assert scored["metrics"] == {"text": 1.0, "image": 1.0, "group": 1.0}
    with pytest.raises(DataError, match="1 of 4 have no prediction"):
        score_files("winoground", write(tmp_path / "three.jsonl", lines(*rows[:3])))
    rows[0]["label"] = "0_c2_i0"
    with pytest.raises(DataError, match="label '0_c2_i0' is not like"):
        score_files("winoground", write(tmp_path / "label.jsonl", lines(*rows)))
    rows[0] = {"label": "0_c0_i0", "score": float("nan")}
    with pytest.raises(DataError, match="nan is not finite"):
        score_files("winoground", write(tmp_path / "nan.jsonl", lines(*rows)))


def test_vcr_reads_the_leaderboards_form(tmp_path: Path) -> None:
    references = write(
        tmp_path / "val.jsonl",
        lines(*({"annot_id": f"val-{n}", "answer_label": n} for n in range(2))),
    )
    table = "annot_id,answer_0,answer_1,answer_2,answer_3\nval-0,.7,.1,.1,.1\nval-1,.7,.1,.1,.1\n"
    scored = score_files("vcr", write(tmp_path / "answers.csv", table), references)
    assert scored["metrics"] == {"Q->A": 0.5}
    bad = write(tmp_path / "bad.csv", table.replace("val-0,.7", "val-0,high"))
    with pytest.raises(DataError, match="line 2: 'high' is not a number"):
        score_files("vcr", bad, references)


def test_vcr_rationales_are_scored_after_the_right_answer(tmp_path: Path) -> None:
    labels = [{"answer_label": 2, "rationale_label": 1}, {"answer_label": 0, "rationale_label": 3}]
    references = write(
        tmp_path / "val.jsonl",
        lines(*({"annot_id": f"val-{n}", **label} for n, label in enumerate(labels))),
    )
    columns = [f"rationale_conditioned_on_a{a}_{r}" for a in range(4) for r in range(4)]
    rows = [["0"] * 16, ["0"] * 16]
    rows[0][2 * 4 + 1] = ".9"  # right after the right answer
    rows[0][0 * 4 + 0] = "1"  # after a wrong one: not looked at
    rows[1][0 * 4 + 2] = ".9"
    table = "annot_id," + ",".join(columns) + "\n"
    table += "".join(f"val-{n}," + ",".join(row) + "\n" for n, row in enumerate(rows))
    scored = score_files("vcr_rationale", write(tmp_path / "answers.csv", table), references)
    assert scored["metrics"] == {"QA->R": 0.5}
    with pytest.raises(DataError, match="no answer_0"):
        score_files("vcr", write(tmp_path / "answers.csv", table), references)


def test_raven_reads_targets_from_the_official_archives(tmp_path: Path) -> None:
    folder = tmp_path / "raven" / "center_single"
    folder.mkdir(parents=True)
    for number in range(2):
        np.savez(folder / f"RAVEN_{number}_test.npz", target=np.array(number))
    rows = [
        {"id": f"center_single/RAVEN_{number}_test", "scores": [1, 0, 0, 0, 0, 0, 0, 0]}
        for number in range(2)
    ]
    predictions = write(tmp_path / "scores.jsonl", lines(*rows))
    scored = score_files("raven", predictions, tmp_path / "raven", per_item=True)
    assert scored["metrics"] == {"accuracy": 0.5}
    assert scored["per_item"] == {rows[0]["id"]: 1.0, rows[1]["id"]: 0.0}
