"""GQA: composed questions about scenes, balanced; the short answer must be as written.

Consistency is the accuracy over what rightly answered questions entail. Entailed questions need not
be balanced: those are asked too, and count for consistency alone. Validity and plausibility are the
shares of answers that the official choices allow, right or wrong. Left out: distribution, which is
no sum over items, and grounding, which needs attention maps.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Columns, Item, Metric, Sums, divide, mean
from mmicl.benchmarks.parts import Written, part_by, read_meta
from mmicl.benchmarks.scorers import gqa
from mmicl.records import Example

ALLOWED = {"validity": "valid", "plausibility": "plausible"}
"""Metric -> the official choices that it counts."""
STRUCTURES = ("verify", "query", "choose", "logical", "compare")
OPEN = "query"


def earn(text: str, example: Example) -> float:
    """1 where the answer is equal as written."""
    return float(text == example.target)


RULE = Written(
    earn,
    normalise=lambda text: text,
    parts={
        "binary": lambda example: read_meta(example, "structural") != OPEN,
        "open": lambda example: read_meta(example, "structural") == OPEN,
        **part_by("structural", dict(zip(STRUCTURES, STRUCTURES, strict=True))),
    },
)


def judge(items: Sequence[Item]) -> Columns:
    """What each answer earned, over balanced questions, and whether right ones are consistent."""
    texts = [item.predictions[0].text for item in items]
    return _columns(
        [item.example for item in items],
        RULE.judge(items),
        lambda place, allowed: float(texts[place] in allowed),
    )


def guess(examples: Sequence[Example], train: Sequence[Example]) -> Columns | None:
    """An answer drawn from the training split's, for every question anew."""
    answered = RULE.guess(examples, train)
    if answered is None:
        return None
    drawn = Counter(example.target for example in train)
    return _columns(
        examples,
        answered,
        lambda _, allowed: sum(drawn[text] for text in set(allowed)) / drawn.total(),
    )


def _columns(
    examples: Sequence[Example],
    answered: Columns,
    fit: Callable[[int, Sequence[str]], float],
) -> Columns:
    """Columns over balanced questions.

    Args:
        examples: All that were asked.
        answered: What each earned.
        fit: Place and allowed answers -> how likely the answer is one of them.
    """
    balanced = np.array([read_meta(example, "balanced") is not False for example in examples])
    columns = {name: values * balanced for name, values in answered.items()}
    columns |= _count_consistent(examples, answered["right"])
    for metric, choices in ALLOWED.items():
        columns |= {metric: np.zeros(len(examples)), f"n_{metric}": np.zeros(len(examples))}
        for place in map(int, np.flatnonzero(balanced)):
            listed = read_meta(examples[place], choices)
            if listed is not None:
                allowed = gqa.list_allowed(read_meta(examples[place], "detailed"), listed)
                columns[metric][place] = fit(place, allowed)
                columns[f"n_{metric}"][place] = 1
    return columns


def _count_consistent(examples: Sequence[Example], right: np.ndarray) -> Columns:
    """How much of what a balanced question entails is right, where it is right itself.

    Nothing is counted where entailed questions were not asked.
    """
    columns = {name: np.zeros(len(examples)) for name in ("consistent", "rightly", "entailing")}
    if not _list_unasked(examples):
        earned = {_key(example): value for example, value in zip(examples, right, strict=True)}
        for place, example in enumerate(examples):
            share = gqa.share_entailed(_key(example), _list_entailed(example), earned)
            if share is not None:
                columns["consistent"][place] = right[place] * share
                columns["rightly"][place] = right[place]
                columns["entailing"][place] = 1
    return columns


def _key(example: Example) -> str:
    return str(read_meta(example, "question_id"))


def _list_entailed(example: Example) -> Sequence[str]:
    """The questions that a balanced one entails; nothing of others, whose answers are no start."""
    return () if read_meta(example, "balanced") is False else read_meta(example, "entailed") or ()


def _list_unasked(examples: Sequence[Example]) -> list[str]:
    """Entailed questions that are not among those that are asked."""
    known = {_key(example) for example in examples}
    return [key for example in examples for key in _list_entailed(example) if key not in known]


def list_missing(examples: Sequence[Example]) -> Mapping[str, str]:
    """Figures that the asked questions do not allow, and what those need."""
    missing, unasked = {}, _list_unasked(examples)
    if unasked:
        whole = f"{len(unasked)} entailed questions, such as {unasked[0]}, were not read"
        missing["consistency"] = f"needs all of {{val,testdev}}_all_questions.json: {whole}"
    elif not any(map(_list_entailed, examples)):
        missing["consistency"] = "needs questions that entail others"
    if all(read_meta(example, "valid") is None for example in examples):
        file = "{val,testdev}_choices.json"
        missing["validity, plausibility"] = f"need {file} when the dataset is read"
    return missing


def _consistency(sums: Sums) -> np.ndarray:
    """0 where no question that entails another is right, as officially."""
    share = divide(sums["consistent"], sums["rightly"], 0.0)
    return np.where(sums["entailing"] == 0, np.nan, 100 * share)


GQA = Benchmark(
    name="gqa",
    version="gqa/eval.py/testdev-balanced",
    category="visual reasoning",
    task="vqa",
    kind="generate",
    scorer="gqa",
    metrics={
        **RULE.metrics,
        "consistency": Metric(_consistency),
        **{name: mean(name, f"n_{name}") for name in ALLOWED},
    },
    headline=("accuracy",),
    judge=judge,
    chance=guess,
    constant=RULE.constant,
    licence="CC BY 4.0; pictures of Visual Genome under their Flickr terms",
    split="val",
    not_computed=list_missing,
    # MMICL's paper gives no figure: GQA is among its training data.
)
