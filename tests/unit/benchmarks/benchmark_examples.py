"""Test Examples by hand, and their answered items."""

import json
from collections.abc import Sequence
from typing import Any

from mmicl.benchmarks.benchmark import Item
from mmicl.records import Example, Prediction, Request


def example(task: str, number: int = 0, **changes: Any) -> Example:
    """The `number`-th test Example of a task, alone in its group."""
    images = {"nlvr": 2, "winoground": 2, "raven": 16, "video": 4}.get(task, 1)
    values: dict[str, Any] = {
        "id": f"{task}/test/{number}", "dataset": task, "split": "test", "task": task,
        "images": tuple(f"{task}-{number}-{place}" for place in range(images)),
        "question": f"what is thing {number}?", "target": "thing", "group": f"{task}-{number}",
    }  # fmt: skip
    values |= {
        "caption": {"question": ""},
        "nlvr": {"target": "true"},
        "pope": {"target": "yes"},
        "mme": {"target": "yes", "meta": '{"image": "0.jpg", "subtask": "count"}'},
        "vcr": {"choices": ("a", "b", "c", "d"), "answer_index": 1, "target": "b"},
        "scienceqa": {
            "choices": ("a", "b", "c"),
            "answer_index": 1,
            "target": "b",
            "meta": '{"hint": false, "misleads": false}',
        },
        "winoground": {"choices": ("a on b", "b on a"), "question": "", "target": ""},
        "raven": {"question": "", "target": "", "answer_index": 2},
    }.get(task, {})
    if isinstance(changes.get("meta"), dict):
        changes["meta"] = json.dumps(changes["meta"])
    return Example.model_validate(values | changes)


def answered(one: Example, *texts: str, scores: Sequence[Sequence[float]] | None = None) -> Item:
    """An Example with an answer to each of its requests."""
    scores = scores if scores is not None else [()] * len(texts)
    texts = texts or ("yes",) * len(scores)
    requests, predictions = [], []
    for place, (text, values) in enumerate(zip(texts, scores, strict=True)):
        name = f"{one.id}#{place}"
        requests.append(
            Request(
                id=name, benchmark="b", item=one.id, group=one.group, kind="generate",
                images=one.images, prompt="", target=one.target,
            )
        )  # fmt: skip
        predictions.append(
            Prediction(request=name, benchmark="b", control="", text=text, scores=tuple(values))
        )
    return Item(one, tuple(requests), tuple(predictions))
