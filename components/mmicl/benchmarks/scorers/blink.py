"""BLINK, as zeyofu/BLINK_Benchmark eval/evaluate.py: accuracy per task, and their plain mean."""

from collections.abc import Mapping, Sequence

TASKS = {
    "Visual_Similarity": 135, "Counting": 120, "Relative_Depth": 124, "Jigsaw": 150,
    "Art_Style": 117, "Functional_Correspondence": 130, "Semantic_Correspondence": 139,
    "Spatial_Relation": 143, "Object_Localization": 122, "Visual_Correspondence": 172,
    "Multi-view_Reasoning": 133, "Relative_Reflectance": 134, "Forensic_Detection": 132,
    "IQ_Test": 150,
}  # fmt: skip
"""Task -> how many questions its val split has; they are numbered from 1."""


def score(tasks: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, float]:
    """Shares of (prediction, answer) pairs that are equal, by task; `Total` if all 14 are there."""
    scores = {
        name: sum(prediction == answer for prediction, answer in tasks[name]) / len(tasks[name])
        for name in TASKS
        if name in tasks
    }
    if len(scores) == len(TASKS):
        scores["Total"] = sum(scores.values()) / len(TASKS)
    return scores
