"""VQA v2: open questions, ten annotators' answers, the official VQA accuracy."""

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import (
    Benchmark,
    Columns,
    Constant,
    Item,
    Published,
    mean,
    most_common,
)
from mmicl.benchmarks.scorers.vqa import normalise, score_answer
from mmicl.records import Example

TYPES = {"yes/no": "yes_no", "number": "number", "other": "other"}


def judge(items: Sequence[Item]) -> Columns:
    """VQA accuracy of each item, overall and by official answer type."""
    values = [score_answer(item.predictions[0].text, item.example.answers) for item in items]
    return _columns([item.example for item in items], values)


def guess(examples: Sequence[Example], train: Sequence[Example]) -> Columns | None:
    """Expected accuracy of an answer drawn from the training split's."""
    drawn = Counter(normalise(example.target) for example in train)
    total = sum(drawn.values())
    if not total:
        return None
    values = []
    for example in examples:
        candidates = {normalise(answer): answer for answer in example.answers}
        values.append(
            sum(
                drawn[key] / total * score_answer(answer, example.answers)
                for key, answer in candidates.items()
            )
        )
    return _columns(examples, values)


def _columns(examples: Sequence[Example], values: Sequence[float]) -> Columns:
    columns = {"accuracy": np.array(values, float), "n": np.ones(len(examples))}
    kinds = [json.loads(example.meta).get("answer_type") for example in examples]
    for official, name in TYPES.items():
        own = np.array([kind == official for kind in kinds], float)
        columns[f"accuracy_{name}"], columns[f"n_{name}"] = columns["accuracy"] * own, own
    return columns


VQAV2 = Benchmark(
    name="vqav2",
    version="vqa-v2/vqaEval@a013f00",
    category="image QA",
    task="vqa",
    kind="generate",
    metrics={
        "accuracy": mean("accuracy"),
        **{f"accuracy_{name}": mean(f"accuracy_{name}", f"n_{name}") for name in TYPES.values()},
    },
    headline=("accuracy",),
    judge=judge,
    chance=guess,
    constant=lambda train: Constant(most_common([example.target for example in train])),
    licence="annotations CC BY 4.0; photos under their Flickr terms",
    published=(
        Published(
            "MMICL FLAN-T5-XL, 0-shot", "accuracy", 62.17, False, "training data holds VQAv2"
        ),
        Published("MMICL FLAN-T5-XXL, 0-shot", "accuracy", 69.99, False, "as above"),
        Published("MMICL FLAN-T5-XL, 4-shot", "accuracy", 62.63, False, "as above"),
        Published("MMICL FLAN-T5-XXL, 4-shot", "accuracy", 69.83, False, "as above"),
        Published("MMICL Instruct-FLAN-T5-XL, 0-shot", "accuracy", 69.13, False),
        Published("MMICL Instruct-FLAN-T5-XXL, 0-shot", "accuracy", 70.30, False),
        Published("BLIP-2 FLAN-T5-XXL, 0-shot", "accuracy", 60.91, False),
    ),
)
