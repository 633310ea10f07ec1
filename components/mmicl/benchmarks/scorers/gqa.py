"""GQA, as the dataset's own eval.py (gqadataset.org) scores it: percent, over balanced questions.

Answers are equal as written. Consistency is the accuracy over the questions that a rightly answered
one entails; validity and plausibility ask whether the answer is among those that the choices file
allows; distribution is the chi square between right and given answers by group, over 100 (lower is
better). Not computed: grounding, which needs a model's attention maps.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Question = Mapping[str, Any]
"""As in the official questions file."""
_COMMON = ("color", "material", "shape")
_NO_STEPS = ("exist", "query: name", "choose name")


def score(predictions: Mapping[str, str], questions: Mapping[str, Question]) -> dict[str, Any]:
    """Accuracy over all, binary and open questions, by type, steps and words; distribution.

    The sub-totals are pairs `{"accuracy", "n"}`. `questions` are the balanced ones.
    """
    groups: dict[str, dict[str | int, list[bool]]] = {
        name: defaultdict(list)
        for name in (
            "accuracyPerStructuralType",
            "accuracyPerSemanticType",
            "accuracyPerSteps",
            "accuracyPerLength",
        )
    }
    kinds: dict[str, list[bool]] = {"binary": [], "open": []}
    for key, question in questions.items():
        right = predictions[key] == question["answer"]
        structure = question["types"]["structural"]
        kinds["open" if structure == "query" else "binary"].append(right)
        places = (
            structure,
            question["types"]["semantic"],
            _count_steps(question),
            _count(question),
        )
        for group, place in zip(groups.values(), places, strict=True):
            group[place].append(right)
    return {
        "binary": _percent(kinds["binary"]),
        "open": _percent(kinds["open"]),
        "accuracy": _percent(kinds["binary"] + kinds["open"]),
        "distribution": score_distribution(predictions, questions),
        **{
            name: {
                place: {"accuracy": _percent(group[place]), "n": len(group[place])}
                for place in sorted(group)
            }
            for name, group in groups.items()
        },
    }


def score_consistency(
    predictions: Mapping[str, str], asked: Sequence[str], questions: Mapping[str, Question]
) -> float:
    """Percent; the mean over rightly answered `asked` of the accuracy over what each entails.

    Args:
        predictions: Answers to all questions.
        asked: The balanced questions.
        questions: All questions.
    """
    right = {
        key: float(predictions[key] == question["answer"])
        for key, question in questions.items()
        if key in predictions
    }
    shares = [
        share
        for key in asked
        if right[key]
        and (share := share_entailed(key, questions[key]["entailed"], right)) is not None
    ]
    return sum(shares) / len(shares) * 100 if shares else 0.0


def share_entailed(key: str, entailed: Sequence[str], right: Mapping[str, float]) -> float | None:
    """How many of the questions that one entails are right, 0 to 1; None where it entails none.

    Args:
        key: The question, which may stand among those that it entails and does not count.
        entailed: As its official entry lists them.
        right: Question -> 1 where its answer is right, or how likely it is.
    """
    others = [right[other] for other in entailed if other != key]
    return sum(others) / len(others) if others else None


def score_choices(
    predictions: Mapping[str, str],
    questions: Mapping[str, Question],
    choices: Mapping[str, Mapping[str, Sequence[str]]],
) -> dict[str, float]:
    """Validity and plausibility in percent, by the official choices file."""
    scores = {}
    for name, column in {"validity": "valid", "plausibility": "plausible"}.items():
        found = [
            predictions[key] in list_allowed(question["types"]["detailed"], choices[key][column])
            for key, question in questions.items()
        ]
        scores[name] = _percent(found)
    return scores


def list_allowed(detailed: str, listed: Sequence[str]) -> Sequence[str]:
    """The answers that count as valid, or as plausible.

    Kept: for questions about what two objects have in common they are color, material and shape,
    whatever the file says.

    Args:
        detailed: The question's official detailed type.
        listed: What the choices file lists for it.
    """
    return _COMMON if "Common" in detailed else listed


def score_distribution(predictions: Mapping[str, str], questions: Mapping[str, Question]) -> float:
    """Chi square of given against right answers, averaged over groups by their size, over 100."""
    right: dict[str, Counter[str]] = defaultdict(Counter)
    given: dict[str, Counter[str]] = defaultdict(Counter)
    for key, question in questions.items():
        group = question["groups"]["global"]
        if group is not None:
            right[group][question["answer"]] += 1
            given[group][predictions[key]] += 1
    total = weighted = 0.0
    for group, answers in right.items():
        size = answers.total()
        square = sum((given[group][text] - n) ** 2 / n for text, n in answers.items())
        weighted += square * size
        total += size
    return weighted / total / 100 if total else 0.0


def _count(question: Question) -> int:
    return len(question["question"].split())


def _count_steps(question: Question) -> int:
    """Steps of reasoning but for those that only query."""
    steps = [f"{step['operation']}: {step['argument']}" for step in question["semantic"]]
    return sum(not any(name in step for name in _NO_STEPS) for step in steps)


def _percent(values: Sequence[bool]) -> float:
    return sum(values) / len(values) * 100 if values else 0.0
