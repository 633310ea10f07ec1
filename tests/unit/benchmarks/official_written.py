"""Datasets with written answers in their official files, two items or more of each."""

from collections.abc import Sequence
from typing import Any

from official_form import Dataset, own_id, text

from mmicl.benchmarks.benchmark import Item

# --- questions in VQA's form ---------------------------------------------------------------------


def _vqa(questions: str, annotations: str, image_ids: Sequence[Any], pictures: Sequence[str],
         types: Sequence[str]) -> Dataset:  # fmt: skip
    asked = [
        {"question_id": n, "image_id": image, "question": f"what is thing {n}?"}
        for n, image in enumerate(image_ids)
    ]
    answered = [
        {
            "question_id": n, "image_id": image, "question_type": "what", "answer_type": kind,
            "answers": [{"answer": f"the dog {n}", "answer_id": k} for k in range(7)]
            + [{"answer": "two cats", "answer_id": k} for k in range(7, 10)],
        }
        for n, (image, kind) in enumerate(zip(image_ids, types, strict=True))
    ]  # fmt: skip
    return Dataset(
        files={questions: {"questions": asked}, annotations: {"annotations": answered}},
        pictures=pictures,
        predict=lambda items: [
            {"question_id": int(own_id(item)), "answer": text(item)} for item in items
        ],
        references=annotations,
        metrics={"accuracy": ("overall", 1)},
    )


OKVQA = _vqa(
    "OpenEnded_mscoco_val2014_questions.json", "mscoco_val2014_annotations.json", (7, 8),
    [f"val2014/COCO_val2014_{n:012d}.jpg" for n in (7, 8)], ("other", "other"),
)  # fmt: skip
TEXTVQA = _vqa(
    "val_questions_vqa_format.json", "val_annotations_vqa_format.json", ("ab", "cd"),
    ["train_images/ab.jpg", "train_images/cd.jpg"], ("", ""),
)  # fmt: skip
VIZWIZ = _vqa(
    "val_questions_vqa_format.json", "val_annotations_vqa_format.json", ("a.jpg", "b.jpg"),
    ["val/a.jpg", "val/b.jpg"], ("other", "unanswerable"),
)  # fmt: skip
STVQA = Dataset(
    files={
        "train_task_3.json": {
            "data": [
                {"question_id": n, "question": f"what {n}?", "file_path": f"icdar/{n}.jpg",
                 "answers": [f"exit {n}", f"exit sign {n}"]}
                for n in range(2)
            ]
        }
    },
    pictures=["icdar/0.jpg", "icdar/1.jpg"],
    predict=lambda items: [
        {"question_id": int(own_id(item)), "answer": text(item)} for item in items
    ],
    references="train_task_3.json",
    metrics={"ANLS": ("ANLS", 100)},
    resplit={"test": 1.0},
)  # fmt: skip
_SCENE = {
    "0": ("verify", "no", ["0", "1"]), "1": ("query", "cup", []),
    "2": ("query", "color", ["9", "8"]), "3": ("verify", "yes", ["3", "8", "1", "9"]),
    "8": ("verify", "no", ["0"]),
}  # fmt: skip
_ASKED = {
    key: {
        "imageId": str(int(key) % 2), "question": f"is thing {key} red?", "answer": answer,
        "isBalanced": key != "8", "entailed": entailed, "semantic": [], "groups": {"global": None},
        "types": {"structural": kind, "semantic": "attr", "detailed": "Common" * (key == "2")},
    }
    for key, (kind, answer, entailed) in _SCENE.items()
}  # fmt: skip
_ASKED["9"] = {**_ASKED["8"], "answer": "yes", "entailed": []}
_UNRELATED = {**_ASKED["8"], "answer": "never read"}
GQA = Dataset(
    files={
        "testdev_balanced_questions.json": {key: _ASKED[key] for key in "0123"},
        "testdev_all_questions.json": {**_ASKED, "7": _UNRELATED},
        "testdev_choices.json": {
            key: {"valid": [_ASKED[key]["answer"], "quite another thing"],
                  "plausible": [_ASKED[key]["answer"]] + ["quite another thing"] * (key == "3")}
            for key in "0123"
        },
    },
    pictures=[f"images/{n}.jpg" for n in range(2)],
    predict=lambda items: [
        {"questionId": own_id(item), "prediction": text(item)} for item in items
    ],
    metrics={"accuracy": ("accuracy", 1), "accuracy_binary": ("binary", 1),
             "accuracy_open": ("open", 1), "consistency": ("consistency", 1),
             "validity": ("validity", 1), "plausibility": ("plausibility", 1)},
    optional={"testdev_all_questions.json": ["consistency"],
              "testdev_choices.json": ["validity", "plausibility"]},
)  # fmt: skip
MINECRAFT = Dataset(
    files={
        "filter_cap.json": {
            "annotations": [
                {"image_id": f"{n}.png", "question_split": "What is it?", "caption": f"a cow {n}"}
                for n in range(2)
            ]
        }
    },
    pictures=["image/0.png", "image/1.png"],
)
WEBSRC = Dataset(
    files={
        **{f"book/01/processed_data/010000{n}.html": "<p>x</p>" for n in range(2)},
        "book/01/dataset.csv": "question,id,element_id,answer_start,answer\n"
        + "".join(f"what {n},bo010000{n}00000,2,0,red wine {n}\n" for n in range(2)),
        "dataset_split.json": {"train": [], "dev": ["bo01"], "test": []},
    },
    pictures=[f"book/01/processed_data/010000{n}.png" for n in range(2)],
    predict=lambda items: {own_id(item): text(item) for item in items},
    references="book/..",
    metrics={"exact": ("exact", 1), "f1": ("f1", 1)},
)

# --- captions ------------------------------------------------------------------------------------
_CAPTIONS = (
    ("a red cat on a mat", "the cat lies on a mat"),
    ("two dogs run in the deep snow", "dogs play in the snow"),
    ("a man rides a blue bicycle", "a person on a bike"),
    ("white boats in the old harbour", "boats in a harbour"),
)
FLICKR30K = Dataset(
    files={
        "dataset_flickr30k.json": {
            "images": [
                {"filename": f"{n}.jpg", "split": "test", "imgid": n,
                 "sentences": [{"raw": one, "sentid": 9 * n + k} for k, one in enumerate(texts)]}
                for n, texts in enumerate(_CAPTIONS)
            ]
        }
    },
    pictures=[f"flickr30k-images/{n}.jpg" for n in range(4)],
    predict=lambda items: [{"image_id": own_id(item), "caption": text(item)} for item in items],
    references="dataset_flickr30k.json",
    metrics={"CIDEr": ("CIDEr", 100), "Bleu_4": ("Bleu_4", 100), "ROUGE_L": ("ROUGE_L", 100)},
)  # fmt: skip
NOCAPS = Dataset(
    files={
        "nocaps_val_4500_captions.json": {
            "images": [
                {"id": n, "file_name": f"{n}.jpg", "domain": f"{domain}-domain"}
                for n, domain in enumerate(("in", "out", "in", "out"))
            ],
            "annotations": [
                {"id": 9 * n + k, "image_id": n, "caption": one}
                for n, texts in enumerate(_CAPTIONS) for k, one in enumerate(texts)
            ],
        }
    },
    pictures=[f"val/{n}.jpg" for n in range(4)],
    predict=lambda items: [
        {"image_id": int(own_id(item)), "caption": text(item)} for item in items
    ],
    references="nocaps_val_4500_captions.json",
    metrics={"CIDEr": ("CIDEr.entire", 100), "CIDEr_in": ("CIDEr.in-domain", 100),
             "CIDEr_out": ("CIDEr.out-domain", 100), "Bleu_4": ("B4.entire", 100)},
)  # fmt: skip

# --- videos --------------------------------------------------------------------------------------
MSVD_QA = Dataset(
    files={
        "test_qa.json": [
            {"id": n, "question": f"{word} is it?", "answer": f"dog {n}", "video_id": n}
            for n, word in enumerate(("what", "who", "what"))
        ]
    },
    films=[f"videos/vid{n}.mp4" for n in range(3)],
    predict=lambda items: [{"id": int(own_id(item)), "answer": text(item)} for item in items],
    references="test_qa.json",
    metrics={"accuracy": ("acc", 100), "accuracy_what": ("what", 100),
             "accuracy_who": ("who", 100)},
)  # fmt: skip
IVQA = Dataset(
    files={
        "test.csv": "video_id,start,end,question,answer1,answer2,answer3,answer4,answer5\n"
        + "".join(f"v{n},0,5,what?,pan {n},pan {n},pot,lid,lid\n" for n in range(2))
    },
    films=["videos/v0.mp4", "videos/v1.mp4"],
    predict=lambda items: {str(int(own_id(item)) - 1): text(item) for item in items},
    references="test.csv",
    metrics={"accuracy": ("acc", 100)},
)


def _write_open(items: Sequence[Item]) -> dict[str, dict[str, str]]:
    answers: dict[str, dict[str, str]] = {}
    for item in items:
        video, number = own_id(item).split("_")
        answers.setdefault(video, {})[number] = text(item)
    return answers


NEXTQA_OPEN = Dataset(
    files={
        "test.csv": "video,question,answer,qid,type\n"
        + "".join(
            f"7{n},what is it,{answer},{n},{kind}\n"
            for n, (kind, answer) in enumerate([("CW", "tired"), ("TP", "run"), ("DC", "two")])
        )
    },
    films=[f"videos/7{n}.mp4" for n in range(3)],
    predict=_write_open,
    references="test.csv",
    metrics={"WUPS": ("WUPS", 1), "WUPS_C": ("WUPS_C", 1), "WUPS_TN_TP": ("TPN", 1)},
)

WRITTEN = {
    "flickr30k": FLICKR30K, "gqa": GQA, "ivqa": IVQA, "minecraft": MINECRAFT, "msvd_qa": MSVD_QA,
    "nextqa_open": NEXTQA_OPEN, "nocaps": NOCAPS, "okvqa": OKVQA, "stvqa": STVQA,
    "textvqa": TEXTVQA, "vizwiz": VIZWIZ, "websrc": WEBSRC,
}  # fmt: skip
