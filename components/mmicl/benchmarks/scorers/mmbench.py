"""MMBench: the choice in a written answer, circular evaluation, and accuracy by ability.

As open-compass/VLMEvalKit scores it with exact matching @ e8e78f0: vlmeval/utils/matching_util.py
(can_infer) and vlmeval/dataset/utils/multiple_choice.py (mcq_circular_eval, report_acc). Where no
choice can be read out of an answer the tool may ask GPT; here, as under its exact matching, such an
answer is wrong. A question is right if it is answered rightly in every rotation of its choices.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ABILITIES = {
    "coarse_perception": "CP",
    "finegrained_perception (instance-level)": "FP-S",
    "finegrained_perception (cross-instance)": "FP-C",
    "logic_reasoning": "LR",
    "relation_reasoning": "RR",
    "attribute_reasoning": "AR",
}
_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_FAILED = "Failed to obtain answer via API"
_SIGNS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_SENTENCE = re.compile(r"answer\s+is\s+\**([A-D])", re.IGNORECASE)
_NEAR_END = 5


@dataclass(frozen=True)
class Question:
    """A question in one rotation of its choices; `group` is the number of its first rotation."""

    group: int
    answer: str
    choices: Mapping[str, str]
    category: str
    ability: str
    split: str


def read_choice(answer: str, choices: Mapping[str, str]) -> str | None:
    """The letter that an answer names, by letter or by text; Z for a refusal, None for neither."""
    return _read_letter(answer, choices) or _read_text(answer, choices)


def _read_letter(answer: str, choices: Mapping[str, str]) -> str | None:
    if _FAILED in answer:
        return None
    if any(refusal in answer for refusal in _REFUSALS):
        return "Z"
    words = answer.translate(_SIGNS).split()
    named = [letter for letter in choices if letter in words]
    if len(named) == 1 and words.index(named[0]) > len(words) - _NEAR_END:
        return named[0]
    if not named and "Z" in words:
        return "Z"
    found = _SENTENCE.search(answer)
    return found[1].upper() if found and found[1].upper() in choices else None


def _read_text(answer: str, choices: Mapping[str, str]) -> str | None:
    answer = answer.lower()
    if len(answer) > 2 * sum(map(len, choices.values())):
        return None
    named = [letter for letter, text in choices.items() if text.lower() in answer]
    return named[0] if len(named) == 1 else None


def score_groups(
    predictions: Mapping[int, str], questions: Mapping[int, Question]
) -> dict[int, bool]:
    """Whether each question is right in all its rotations, by the number of the first."""
    right: dict[int, bool] = {}
    for key, question in questions.items():
        hit = read_choice(predictions[key], question.choices) == question.answer
        right[question.group] = right.get(question.group, True) and hit
    return right


def score(
    right: Mapping[int, bool], questions: Mapping[int, Question]
) -> dict[str, dict[str, float]]:
    """Shares of right questions by split: `Overall`, then by ability and by category."""
    values: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for group, hit in right.items():
        question = questions[group]
        ability = ABILITIES.get(question.ability, question.ability)
        for name in ("Overall", ability, question.category):
            if name:
                values[question.split][name].append(hit)
    return {split: _average(parts) for split, parts in values.items()}


def _average(parts: Mapping[str, Sequence[bool]]) -> dict[str, float]:
    return {name: sum(hits) / len(hits) for name, hits in parts.items()}
