"""MSVD-QA, MSRVTT-QA and iVQA: accuracy of one short answer about a video.

MSVD-QA and MSRVTT-QA want the annotated answer (xudejing/video-question-answering @ 061c8f2,
run_gra.py), and their paper reports what, who, how, when and where beside the total. iVQA earns
min(matches / 2, 1) of five annotated answers (antoyang/just-ask @ 2331a12, train_videoqa.py).
Officially a classifier chooses among training's common answers; for a model that writes its own,
answers are equal but for case and spaces.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from mmicl.benchmarks.scorers.exact import normalise

KINDS = ("what", "who", "how", "when", "where")


def score_by_kind(right: Mapping[str, bool], questions: Mapping[str, str]) -> dict[str, float]:
    """Shares of right answers: `acc`, and by the question's first word; empty kinds left out."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for key, question in questions.items():
        hits["acc"].append(right[key])
        hits[normalise(question).partition(" ")[0]].append(right[key])
    return {name: sum(hits[name]) / len(hits[name]) for name in ("acc", *KINDS) if hits[name]}


def credit(prediction: str, answers: Sequence[str]) -> float:
    """The credit of iVQA, 0 to 1: an answer is right where two of the annotators gave it."""
    return min(Counter(map(normalise, answers))[normalise(prediction)] / 2, 1.0)
