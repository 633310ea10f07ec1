"""BLINK, as zeyofu/BLINK_Benchmark eval/evaluate.py: accuracy per task, and their plain mean."""

from collections.abc import Mapping, Sequence

TASKS = (
    "Visual_Similarity", "Counting", "Relative_Depth", "Jigsaw", "Art_Style",
    "Functional_Correspondence", "Semantic_Correspondence", "Spatial_Relation",
    "Object_Localization", "Visual_Correspondence", "Multi-view_Reasoning", "Relative_Reflectance",
    "Forensic_Detection", "IQ_Test",
)  # fmt: skip


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
