"""Hateful Memes: area under the ROC curve, and accuracy, as shares.

The Hateful Memes Challenge (Kiela et al., NeurIPS 2020 competition; DrivenData) ranks by the first
and reports both, scikit-learn's roc_auc_score over `proba` and the accuracy of `label`.
"""

from collections.abc import Sequence

from mmicl.benchmarks.scorers.pope import Counts


def score(
    probabilities: Sequence[float], labels: Sequence[int], truths: Sequence[int]
) -> dict[str, float]:
    """`roc_auc`, `accuracy` and the confusion counts; hateful (1) is positive.

    Raises:
        ValueError: The truths are all alike: the curve is not defined.
    """
    from sklearn.metrics import roc_auc_score

    if len(set(truths)) < 2:
        raise ValueError("all right labels are the same: the area under the curve is not defined")
    pairs = list(zip(labels, truths, strict=True))
    counts = Counts(*(pairs.count(pair) for pair in ((1, 1), (1, 0), (0, 0), (0, 1))))
    return {
        "roc_auc": float(roc_auc_score(truths, probabilities)),
        "accuracy": (counts.tp + counts.tn) / len(pairs),
        "TP": counts.tp,
        "FP": counts.fp,
        "TN": counts.tn,
        "FN": counts.fn,
    }
