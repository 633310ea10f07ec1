"""Datasets with options, judgements and rankings in their official files, two items or more."""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from official_form import Dataset, choice, dump_csv, own_id, paint, text

from mmicl.benchmarks.benchmark import Item, yes_margin

# --- options -------------------------------------------------------------------------------------
AOKVQA = Dataset(
    files={
        "aokvqa_v1p0_val.json": [
            {"question_id": f"q{n}", "image_id": n, "question": "What is it for?",
             "choices": ["rain", "sun", "snow", "wind"], "correct_choice_idx": n,
             "direct_answers": [f"sun {n}"] * 8 + ["quite another thing"] * 2,
             "difficult_direct_answer": n == 2}
            for n in range(4)
        ]
    },
    pictures=[f"val2017/{n:012d}.jpg" for n in range(4)],
    predict=lambda items: {
        own_id(item): {"multiple_choice": text(item), "direct_answer": ""} for item in items
    },
    references="aokvqa_v1p0_val.json",
    metrics={"accuracy": ("MC", 1)},
)  # fmt: skip
AOKVQA_DIRECT = replace(
    AOKVQA,
    predict=lambda items: {own_id(item): {"direct_answer": text(item)} for item in items},
    metrics={"accuracy": ("DA", 1)},
    scorer="aokvqa",
)


def _iconqa(kind: str, choices: Sequence[str], extra: Sequence[str]) -> Dataset:
    base = f"iconqa/test/{kind}"
    numbers = ("3", "14", "15")
    problems = {
        number: {"question": f"which {number}?", "choices": choices, "answer": place % 2}
        for place, number in enumerate(numbers)
    }
    return Dataset(
        files={
            **{f"{base}/{number}/data.json": one for number, one in problems.items()},
            "problems.json": {
                number: {**one, "ques_type": kind} for number, one in problems.items()
            },
            "pid2skills.json": {
                "3": ["counting"], "14": ["counting", "time"], "15": ["geometry", "time"],
            },
            "pid_splits.json": {
                f"{task}_test": [*numbers] if task == kind else []
                for task in ("choose_img", "choose_txt", "fill_in_blank")
            },
        },
        pictures=[f"{base}/{number}/{name}" for number in numbers
                  for name in ("image.png", *extra)],
        predict=lambda items: {"results": {own_id(item): choice(item) for item in items}},
        metrics={
            "accuracy": ("TotalAcc", 1), "accuracy_counting": ("counting", 1),
            "accuracy_time": ("time", 1), "accuracy_geometry": ("geometry", 1),
        },
        optional={
            "pid2skills.json": ["accuracy_counting", "accuracy_time", "accuracy_geometry"]
        },
        scorer="iconqa",
    )  # fmt: skip


ICONQA_TXT = _iconqa("choose_txt", ["one", "two"], [])
ICONQA_IMG = _iconqa(
    "choose_img", ["choice_0.png", "choice_1.png"], ["choice_0.png", "choice_1.png"]
)


def _mmbench() -> Dataset:
    head = ["index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image",
            "l2-category", "split"]  # fmt: skip
    rows = []
    for n, ability in enumerate(("logic_reasoning", "coarse_perception", "logic_reasoning")):
        picture = base64.b64encode(paint(f"mmbench {n}") + bytes(64)).decode()
        for turn in range(2):
            options = ["red", "blue"][:: -1 if turn else 1]
            rows.append([n + 1_000_000 * turn, f"Which {n}?", "", *options, "", "",
                         "AB"[options.index("blue")], "ocr", picture if not turn else n, ability,
                         "dev"])  # fmt: skip
    table = "".join("\t".join(map(str, row)) + "\n" for row in (head, *rows))
    return Dataset(
        files={"mmbench_dev_en.tsv": table},
        predict=lambda items: dump_csv(
            ("index", "prediction"), *((own_id(item), "AB"[choice(item)]) for item in items)
        ),
        suffix=".csv",
        references="mmbench_dev_en.tsv",
        metrics={"accuracy": ("Overall", 100), "accuracy_LR": ("LR", 100),
                 "accuracy_CP": ("CP", 100)},
    )  # fmt: skip


MMBENCH = _mmbench()
NEXTQA = Dataset(
    files={
        "test.csv": "video,question,answer,qid,type,a0,a1,a2,a3,a4\n"
        + "".join(
            f"7{n},why is it,{n},{n},{kind},a{n},b,c,d,e\n"
            for n, kind in enumerate(("CW", "TN", "DO", "TP"))
        )
    },
    films=[f"videos/7{n}.mp4" for n in range(4)],
    predict=lambda items: {own_id(item): choice(item) for item in items},
    references="test.csv",
    metrics={"accuracy": ("Acc", 1), "accuracy_C": ("Acc_C", 1), "accuracy_T": ("Acc_T", 1),
             "accuracy_TN_TP": ("TN+TP", 1), "accuracy_DO": ("DO", 1)},
)  # fmt: skip

# --- judgements ----------------------------------------------------------------------------------
VSR = Dataset(
    files={
        "test.jsonl": [
            {"image": f"{n:012d}.jpg", "caption": f"The cat {n} is there.", "label": n % 2,
             "relation": relation}
            for n, relation in enumerate(("under", "facing", "under"))
        ]
    },
    pictures=[f"train2017/{n:012d}.jpg" for n in range(3)],
    predict=lambda items: "".join(
        f"{int(text(item) == 'true')}\n" for item in sorted(items, key=lambda one: int(own_id(one)))
    ),
    suffix=".txt",
    references="test.jsonl",
    metrics={"accuracy": ("accuracy", 100),
             "accuracy_projective": ("meta_category.Projective.accuracy", 100)},
)  # fmt: skip


def _write_memes(items: Sequence[Item]) -> str:
    rows = [
        (own_id(item), 1 / (1 + math.exp(-yes_margin(item.predictions[0]))),
         int(text(item) == "yes"))
        for item in items
    ]  # fmt: skip
    return dump_csv(("id", "proba", "label"), *rows)


HATEFUL_MEMES = Dataset(
    files={
        "dev_seen.jsonl": [
            {"id": n, "img": f"img/{n}.png", "label": n % 2, "text": f"words {n}"} for n in range(5)
        ]
    },
    pictures=[f"img/{n}.png" for n in range(5)],
    predict=_write_memes,
    suffix=".csv",
    references="dev_seen.jsonl",
    metrics={"roc_auc": ("roc_auc", 100), "accuracy": ("accuracy", 100)},
)


def _bongard() -> Dataset:
    sides = [
        [[{"im_path": f"./data/hake/images/{p}/{side}{n}.jpg"} for n in range(7)]
         for side in ("yes", "no")]
        for p in range(2)
    ]  # fmt: skip
    problems = [[*both, f"ride++bike{place}"] for place, both in enumerate(sides)]

    def write(items: Sequence[Item]) -> list[list[int]]:
        said = {own_id(item).partition("-")[2]: int(text(item) == "no") for item in items}
        return [[said[f"{n}-yes"], said[f"{n}-no"]] for n in (1, 2)]

    return Dataset(
        files={"bongard_hoi_test_seen_obj_unseen_act.json": problems},
        pictures=[f"hake/images/{p}/{side}{n}.jpg"
                  for p in range(2) for side in ("yes", "no") for n in range(7)],
        predict=write,
        references="bongard_hoi_test_seen_obj_unseen_act.json",
        metrics={"accuracy_seen_cat_unseen_act": ("seen_cat_unseen_act", 100)},
    )  # fmt: skip


BONGARD_HOI = _bongard()

# --- with a picture or without -------------------------------------------------------------------


def _problem(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "question": f"What is {number}?", "choices": ["ice", "fire", "a cat"], "answer": number % 3,
        "hint": "", "image": "image.png", "split": "test", "grade": "grade2",
        "subject": "natural science", "topic": "physics", **changes,
    }  # fmt: skip


SCIENCEQA_ALL = Dataset(
    files={
        "problems.json": {
            "1": _problem(1), "2": _problem(2), "3": _problem(3, image=None),
            "4": _problem(4, image=None, hint="It is warm."),
        },
        "language_bias.json": {"needs_image": ["1"], "needs_no_image": ["2"]},
    },
    pictures=["images/test/1/image.png", "images/test/2/image.png"],
    predict=lambda items: {"results": {own_id(item): choice(item) for item in items}},
    references="problems.json",
    metrics={
        "accuracy": ("acc_average", 1), "accuracy_img": ("acc_has_image", 1),
        "accuracy_visual_need": ("acc_visual_need", 1),
        "accuracy_no_visual_need": ("acc_no_visual_need", 1),
        "gap": ("gap", 1),
    },
    optional={"language_bias.json": ["accuracy_visual_need", "accuracy_no_visual_need", "gap"]},
    scorer="scienceqa",
)  # fmt: skip

# --- rankings ------------------------------------------------------------------------------------


def _write_ranks(items: Sequence[Item]) -> list[dict[str, Any]]:
    rows = []
    for item in items:
        scores = item.predictions[0].scores
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        ranks = [0] * len(order)
        for rank, place in enumerate(order, start=1):
            ranks[place] = rank
        image, number = map(int, own_id(item).split("-"))
        rows.append({"image_id": image, "round_id": number, "ranks": ranks})
    return rows


VISDIAL = Dataset(
    files={
        "visdial_1.0_val.json": {
            "data": {
                "questions": ["what color is it", "is it big"],
                "answers": [f"answer {n}" for n in range(120)],
                "dialogs": [
                    {
                        "image_id": image, "caption": "a dog on a beach",
                        "dialog": [
                            {"question": k, "answer": 7 + k, "gt_index": 7,
                             "answer_options": list(range(k, 100 + k))}
                            for k in range(2)
                        ],
                    }
                    for image in (5, 6)
                ],
            }
        },
        "visdial_1.0_val_dense_annotations.json": [
            {"image_id": 5, "round_id": 2,
             "gt_relevance": [0.5 if n < 3 else float(n == 7) for n in range(100)]},
            {"image_id": 6, "round_id": 1,
             "gt_relevance": [0.2 if n == 0 else float(n == 7) for n in range(100)]},
        ],
    },
    pictures=[f"VisualDialog_val2018/VisualDialog_val2018_{n:012d}.jpg" for n in (5, 6)],
    predict=_write_ranks,
    metrics={"ndcg": ("ndcg", 100),
             "mrr": ("mrr", 100), "r_1": ("r@1", 100), "r_10": ("r@10", 100),
             "mean_rank": ("mean", 1)},
    optional={"visdial_1.0_val_dense_annotations.json": ["ndcg"]},
)  # fmt: skip
RAVEN_IQ = Dataset(
    files={
        "labels.tsv": "B\n6\nA\n",
        "targets.jsonl": [
            {"id": str(n + 1), "target": target} for n, target in enumerate((1, 5, 0))
        ],
    },
    pictures=[
        f"exp-{n}/{kind}-{k}.png"
        for n, given in ((1, 3), (2, 8), (3, 4))
        for kind, count in (("query", given), ("answer", 6))
        for k in range(count)
    ],
    predict=lambda items: "".join(
        json.dumps({"id": own_id(item), "scores": list(map(yes_margin, item.predictions))}) + "\n"
        for item in items
    ),
    suffix=".jsonl",
    references="targets.jsonl",
    metrics={"accuracy": ("accuracy", 100)},
)

CHOICES = {
    "aokvqa": AOKVQA, "aokvqa_direct": AOKVQA_DIRECT, "bongard_hoi": BONGARD_HOI,
    "hateful_memes": HATEFUL_MEMES, "iconqa_img": ICONQA_IMG, "iconqa_txt": ICONQA_TXT,
    "mmbench": MMBENCH, "nextqa": NEXTQA, "raven_iq": RAVEN_IQ,
    "scienceqa_all": SCIENCEQA_ALL, "visdial": VISDIAL, "vsr": VSR,
}  # fmt: skip
