"""A-OKVQA, as allenai/aokvqa evaluation/eval_predictions.py @ 42e8c44 scores it, in percent.

Multiple choice (MC) is the share of right choices over all questions. A direct answer (DA) earns
min(matches / 3, 1) of the ten annotated ones, equal as written, over the questions that are not
marked difficult for it. A question without a prediction earns 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """`difficult` leaves a question out of the direct answers."""

    choices: Sequence[str]
    correct: int
    answers: Sequence[str]
    difficult: bool


def score_choices(
    predictions: Mapping[str, str], questions: Mapping[str, Question]
) -> dict[str, float]:
    """1 where the text of the right choice was given, by question."""
    return {
        key: float(predictions.get(key) == question.choices[question.correct])
        for key, question in questions.items()
    }


def score_answers(
    predictions: Mapping[str, str], questions: Mapping[str, Question]
) -> dict[str, float]:
    """Credits of direct answers, 0 to 1, by question that is not difficult."""
    return {
        key: score_answer(predictions[key], question.answers) if key in predictions else 0.0
        for key, question in questions.items()
        if not question.difficult
    }


def score_answer(prediction: str, answers: Sequence[str]) -> float:
    """The credit of one direct answer, 0 to 1, against the annotated ones."""
    return min(1.0, answers.count(prediction) / 3.0)
