"""Exact match of short answers, but for case and spaces."""


def normalise(text: str) -> str:
    """Lower case, single spaces."""
    return " ".join(text.lower().split())


def is_right(answer: str, target: str) -> bool:
    """Whether an answer is the right one."""
    return normalise(answer) == normalise(target)
