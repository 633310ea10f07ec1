"""Small official files of each benchmark that `mmicl score` reads: references and predictions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

RANKS = list(range(1, 101))
RELEVANCE = [1.0] + [0.0] * 99


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def lines(*values: Any) -> str:
    return "\n".join(json.dumps(value) for value in values)


Files = tuple[Path, Path]
Alone = tuple[Path, None]
"""Predictions that carry the right answers, or need none."""
Make = Callable[..., tuple[Path, Path | None]]


def aokvqa(folder: Path, answers: Any = None) -> Files:
    questions = [
        {
            "question_id": key, "choices": ["bus", "cab"], "correct_choice_idx": 1,
            "direct_answers": ["cab"] * 3 + ["taxi"] * 7, "difficult_direct_answer": False,
        }
        for key in ("q", "r")
    ]  # fmt: skip
    good = {key: {"multiple_choice": "cab", "direct_answer": "cab"} for key in ("q", "r")}
    references = write(folder / "aokvqa_v1p0_val.json", questions)
    return write(folder / "predictions_val.json", good if answers is None else answers), references


def stvqa(folder: Path, answers: Any = None) -> Files:
    data = [{"question_id": key, "answers": ["stop"]} for key in (1, 2)]
    good = [{"question_id": 1, "answer": "stop"}, {"question_id": 2, "answer": "stab"}]
    references = write(folder / "train_task_3.json", {"data": data})
    return write(folder / "results.json", good if answers is None else answers), references


def gqa(folder: Path, answers: Any = None) -> Files:
    types = {"structural": "query", "semantic": "attr", "detailed": "x"}
    questions = {
        key: {
            "question": "what", "answer": "red", "isBalanced": key == "1", "types": types,
            "semantic": [], "groups": {"global": None}, "entailed": ["2"],
        }
        for key in ("1", "2")
    }  # fmt: skip
    good = [{"questionId": "1", "prediction": "red"}, {"questionId": "2", "prediction": "blue"}]
    write(folder / "gqa" / "val_all_questions.json", questions)
    write(folder / "gqa" / "val_choices.json", {"1": {"valid": ["red"], "plausible": []}})
    return write(folder / "predictions.json", good if answers is None else answers), folder / "gqa"


def video_qa(folder: Path, answers: Any = None) -> Files:
    rows = [{"id": key, "question": "what is it", "answer": "dog"} for key in (1, 2)]
    good = [{"id": 1, "answer": "dog"}, {"id": 2, "answer": "cat"}]
    references = write(folder / "test_qa.json", rows)
    return write(folder / "prediction.json", good if answers is None else answers), references


def ivqa(folder: Path, answers: Any = None) -> Files:
    table = "video_id,question,answer1,answer2,answer3,answer4,answer5\n"
    references = write(folder / "test.csv", table + "v,what,pan,pan,pot,lid,lid\n" * 2)
    good = {"0": "pan", "1": "pot"}
    return write(folder / "answers.json", good if answers is None else answers), references


def visdial(folder: Path, answers: Any = None) -> Files:
    turns = [{"gt_index": 0}, {"gt_index": 9}]
    dialogs = {"data": {"dialogs": [{"image_id": 7, "dialog": turns}]}}
    dense = [{"image_id": 7, "round_id": 2, "gt_relevance": RELEVANCE}]
    write(folder / "visdial" / "visdial_1.0_val.json", dialogs)
    write(folder / "visdial" / "visdial_1.0_val_dense_annotations.json", dense)
    good = [{"image_id": 7, "round_id": number, "ranks": RANKS} for number in (1, 2)]
    ranks = write(folder / "ranks.json", good if answers is None else answers)
    return ranks, folder / "visdial"


def vsr(folder: Path, answers: Any = None) -> Files:
    statements = lines(*({"label": label, "relation": "under"} for label in (0, 1)))
    references = write(folder / "test.jsonl", statements)
    return write(folder / "preds.txt", "0\n0\n" if answers is None else answers), references


def hateful_memes(folder: Path, answers: Any = None) -> Files:
    memes = lines({"id": 1, "label": 0}, {"id": "02", "label": 1})
    references = write(folder / "dev_seen.jsonl", memes)
    good = "id,proba,label\n1,0.2,0\n2,0.1,1\n"
    return write(folder / "submission.csv", good if answers is None else answers), references


def bongard_hoi(folder: Path, answers: Any = None) -> Files:
    references = write(folder / "bongard_hoi_test_seen_cat_seen_act.json", [[[], [], "a++b"]] * 2)
    return write(folder / "p.json", [[0, 1], [1, 1]] if answers is None else answers), references


def iconqa(folder: Path, answers: Any = None, task: str = "choose_txt") -> Files:
    data = folder / "iconqa_data"
    problems = {
        key: {"ques_type": task, "question": "how many", "choices": ["1", "2"], "answer": 1}
        for key in ("5", "6")
    }
    write(data / "problems.json", problems)
    write(data / "pid2skills.json", {"5": ["counting"], "6": ["scene"]})
    splits = {f"{one}_test": [] for one in ("choose_img", "choose_txt", "fill_in_blank")}
    write(data / "pid_splits.json", {**splits, f"{task}_test": ["5", "6"]})
    good = {"results": {"5": 1, "6": 0}}
    return write(folder / "exp.json", good if answers is None else answers), data


def raven_iq(folder: Path, answers: Any = None) -> Files:
    references = write(folder / "t.jsonl", lines(*({"id": key, "target": 2} for key in "ab")))
    good = lines(*({"id": key, "scores": [0, 0, 1, 0, 0, 0]} for key in "ab"))
    return write(folder / "s.jsonl", good if answers is None else answers), references


def mmbench(folder: Path, answers: Any = None) -> Files:
    rows = [(1, "x", "y", "A"), (1_000_001, "y", "x", "B"), (2, "x", "y", "B")]
    table = pd.DataFrame(rows, columns=["index", "A", "B", "answer"])
    table = table.assign(category="ocr", split="dev", image="abcd" * 9, **{"l2-category": "social"})
    references = folder / "mmbench_dev_en.tsv"
    table.to_csv(references, sep="\t", index=False)
    good = pd.DataFrame({"index": [1, 1_000_001, 2], "prediction": ["A", "(B)", "A"]})
    path = folder / "submission.xlsx"
    (good if answers is None else pd.DataFrame(answers)).to_excel(path, index=False)
    return path, references


def websrc(folder: Path, answers: Any = None) -> Files:
    site = folder / "data" / "book" / "01"
    page = '<html tid="0"><body tid="1"><p tid="2">red</p><b tid="3">x</b></body></html>'
    write(site / "processed_data" / "0100001.html", page)
    table = "question,id,element_id,answer_start,answer\n"
    rows = [f"what,bo010000100000,2,0,{'red'}", "is it,bo010000100001,-1,1,yes"]
    write(site / "dataset.csv", table + "\n".join(rows))
    good = {"bo010000100000": "Red.", "bo010000100001": "no"}
    tags = {"bo010000100000": [3], "bo010000100001": [5]}
    write(folder / "out" / "tag_predictions_.json", tags)
    write(folder / "out" / "predictions_.json", good if answers is None else answers)
    return folder / "out", folder / "data"


def flickr30k(folder: Path, answers: Any = None) -> Files:
    images = [
        {"filename": f"{name}.jpg", "split": split, "sentences": [{"raw": "a red cat on a mat"}]}
        for name, split in (("11", "test"), ("12", "test"), ("13", "train"))
    ]
    references = write(folder / "dataset_flickr30k.json", {"images": images})
    rows = [{"image_id": key, "caption": "a red cat on a mat"} for key in (11, "12.jpg")]
    return write(folder / "captions.json", rows if answers is None else answers), references


def nocaps(folder: Path, answers: Any = None) -> Files:
    texts = ["a red cat on a mat", "two dogs run in the snow"]
    data = {
        "images": [{"id": 0, "domain": "in-domain"}, {"id": 1, "domain": "out-domain"}],
        "annotations": [{"image_id": key, "caption": text} for key, text in enumerate(texts)],
    }
    references = write(folder / "nocaps_val_4500_captions.json", data)
    rows = [{"image_id": key, "caption": text} for key, text in enumerate(texts)]
    return write(folder / "captions.json", rows if answers is None else answers), references


def nextqa_open(folder: Path, answers: Any = None) -> Files:
    table = "video,question,answer,qid,type\n4,what,a dog,6,DO\n5,what,a cat,0,DO\n"
    references = write(folder / "val.csv", table)
    good = {"4": {"6": "cat"}, "5": {"0": "cat"}}
    return write(folder / "res.json", good if answers is None else answers), references


def vqa(folder: Path, answers: Any = None) -> Files:
    annotations = [
        {
            "question_id": key, "question_type": "what", "answer_type": "other",
            "answers": [{"answer": "red", "answer_id": n} for n in range(10)],
        }
        for key in (7, 8)
    ]  # fmt: skip
    references = write(folder / "v2_annotations.json", {"annotations": annotations})
    good = [{"question_id": key, "answer": "red"} for key in (7, 8)]
    return write(folder / "results.json", good if answers is None else answers), references


def coco_caption(folder: Path, answers: Any = None) -> Files:
    annotations = [{"image_id": key, "caption": "a red cat on a mat"} for key in (1, 2)]
    references = write(folder / "captions_val2014.json", {"annotations": annotations})
    good = [{"image_id": key, "caption": "a red cat on a mat"} for key in (1, 2)]
    return write(folder / "results.json", good if answers is None else answers), references


def nextqa(folder: Path, answers: Any = None) -> Files:
    table = "video,question,answer,qid,type,a0,a1,a2,a3,a4\n4,why,0,6,CH,a,b,c,d,e\n"
    references = write(folder / "val.csv", table + "4,why,1,7,TN,a,b,c,d,e\n")
    good = {"4_6": {"prediction": 0, "answer": 0}, "4_7": {"prediction": 1, "answer": 1}}
    return write(folder / "preds.json", good if answers is None else answers), references


def nlvr2(folder: Path, answers: Any = None) -> Files:
    records = [{"identifier": f"dev-1-{n}-0", "label": "True"} for n in (0, 1)]
    references = write(folder / "dev.json", lines(*records))
    good = "dev-1-0-0,True\ndev-1-1-0,False\n"
    return write(folder / "predictions.csv", good if answers is None else answers), references


def nlvr1(folder: Path, answers: str) -> Files:
    records = [{"identifier": f"25-{n}", "label": "true"} for n in (0, 1)]
    references = write(folder / "dev.json", lines(*records))
    return write(folder / "predictions.csv", answers), references


def scienceqa(folder: Path, answers: Any = None) -> Files:
    """Problems 1 and 2 are of the test split, 9 of val."""
    problems = {
        key: {
            "split": split, "subject": "social science", "grade": "grade1", "hint": "",
            "image": None, "choices": ["yes", "no", "both"], "answer": 1,
        }
        for key, split in (("1", "test"), ("2", "test"), ("9", "val"))
    }  # fmt: skip
    references = write(folder / "problems.json", problems)
    good = {"results": {"1": 1, "2": "0"}}
    return write(folder / "results.json", good if answers is None else answers), references


def vcr(folder: Path, answers: str) -> Files:
    records = [{"annot_id": f"val-{n}", "answer_label": n, "rationale_label": n} for n in range(2)]
    references = write(folder / "val.jsonl", lines(*records))
    return write(folder / "answers.csv", answers), references


def raven(folder: Path, answers: str) -> Files:
    references = write(folder / "t.jsonl", lines(*({"id": key, "target": 2} for key in "ab")))
    return write(folder / "s.jsonl", answers), references


def winoground(folder: Path, answers: str) -> Files:
    examples = write(folder / "examples.jsonl", lines({"id": 0}, {"id": 1}))
    return write(folder / "scores.jsonl", answers), examples


def winoground_alone(folder: Path, answers: str) -> Alone:
    return write(folder / "scores.jsonl", answers), None


def blink(folder: Path, answers: Any) -> Alone:
    write(folder / "outputs" / "Counting.json", {"val": answers})
    return folder / "outputs", None


def mme(folder: Path, answers: str) -> Alone:
    write(folder / "results" / "OCR.txt", answers)
    return folder / "results", None


def pope(folder: Path, answers: Any = None) -> Files:
    texts = ("Is there a cat?", "Is there a dog?")
    questions = [
        {"question_id": number, "image": "1.jpg", "text": text, "label": "yes"}
        for number, text in enumerate(texts, 1)
    ]
    references = write(folder / "coco_pope_random.json", lines(*questions))
    good = [{"question": text, "answer": "yes"} for text in texts]
    return write(
        folder / "answers.jsonl", lines(*(good if answers is None else answers))
    ), references
