"""Examples by hand, one shape per task."""

import hashlib
from typing import Any

from mmicl.records import Example, ImageBox, Split, crop_reference


def picture(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def make_example(task: str, number: int = 0, split: Split = "train", **changes: Any) -> Example:
    """The `number`-th Example of a task; every picture is its own."""
    first = picture((task, split, number))
    values: dict[str, Any] = {
        "id": f"{task}/{split}/{number}", "dataset": task, "split": split, "task": task,
        "images": (first,), "question": f"what is thing {number} ?", "target": f"thing {number}",
        "group": f"{task}-{split}-{number}",
    }  # fmt: skip
    values |= {
        "caption": {"question": ""},
        "vqa": {},
        "pope": {"target": "yes" if number % 2 else "no"},
        "mme": {"target": "yes" if number % 2 else "no"},
        "video": {"images": tuple(picture((task, split, number, k)) for k in range(4))},
        "scienceqa": {
            "choices": ("red", "blue", "green"), "answer_index": number % 3,
            "target": ("red", "blue", "green")[number % 3],
        },
        "choice": {
            "choices": ("left", "right"), "answer_index": number % 2,
            "target": ("left", "right")[number % 2],
        },
        "video_choice": {
            "images": tuple(picture((task, split, number, k)) for k in range(4)),
            "choices": ("it runs", "it sits", "it falls"), "answer_index": number % 3,
            "target": ("it runs", "it sits", "it falls")[number % 3],
        },
        "video_caption": {
            "images": tuple(picture((task, split, number, k)) for k in range(4)), "question": "",
        },
        "dialog": {"question": f"a dog. is it black ? no. what is thing {number} ?"},
        "classify": {"target": "yes" if number % 2 else "no"},
        "nlvr": {"images": (first, picture((task, split, number, "right"))),
                 "target": "true" if number % 2 else "false"},
        "region": {"images": (first, crop_reference(first, ImageBox(1, 2, 3, 4))), "question": ""},
        "vcr": {
            "images": (first, *(crop_reference(first, ImageBox(0, 0, k, k)) for k in (5, 9))),
            "question": "why is <image:1> near <image:2> ?",
            "choices": ("<image:1> likes it.", "<image:2> fell.", "no reason.", "it rains."),
            "answer_index": number % 4, "target": "",
            "meta": '{"image_names": ["the picture", "person", "dog"]}',
        },
        "winoground": {
            "images": (first, picture((task, split, number, "right"))), "question": "",
            "choices": ("a on b", "b on a"), "target": "",
        },
        "raven": {
            "images": tuple(picture((task, split, number, k)) for k in range(16)),
            "question": "", "answer_index": number % 8, "target": "",
        },
        "multi": {
            "images": (first, picture((task, split, number, "right"))),
            "question": "is <image:0> or <image:1> red ?", "target": "<image:1>",
        },
        "episode": {
            "images": tuple(picture((task, split, number, k)) for k in range(5)),
            "question": "what is this ?", "choices": ("dax", "wug", "wug", "dax"), "target": "wug",
        },
    }[task]  # fmt: skip
    return Example.model_validate(values | changes)
