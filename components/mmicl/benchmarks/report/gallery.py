"""Items for a person to look at: the worst mistakes, and a random draw.

A mistake is worse the less an item earned and, among equals, the surer the model was: by how much
it preferred its answer to the right one. Written answers have no such measure; theirs are drawn.
All draws are by hash of (seed, id), so the same answers give the same page.
"""

from collections.abc import Mapping, Sequence
from html import escape

from mmicl.benchmarks.predictions import Answered
from mmicl.benchmarks.report.calibration import read_probabilities
from mmicl.benchmarks.runner import MODEL, ItemScore, Result
from mmicl.images.showing import draw_thumbnail, write_address
from mmicl.images.store import ImageStore
from mmicl.mic.chance import rank

SHOWN = 3
"""Items of each kind, per benchmark."""
WRONG_BELOW = 50.0
SIDE = 96
"""Pixels of a thumbnail's longer side."""
QUALITY = 80


def draw_gallery(name: str, result: Result, images: ImageStore, seed: int) -> list[str]:
    """One benchmark's items as lines of HTML.

    Raises:
        DataError: A picture is missing.
    """
    values = read_values(result.items)
    asked = read_asked(result.answers)
    wrong = find_worst(values, asked, seed)
    drawn = sorted(values, key=lambda item: rank("report", seed, item))[:SHOWN]
    lines = [f'<h3 id="items-{escape(name)}">{escape(name)}</h3>']
    for title, items in {"Worst mistakes": wrong, "Drawn at random": drawn}.items():
        lines.append(f"<h4>{title}</h4>")
        shown = [_draw_item(values[item], asked[item], images) for item in items]
        lines += ['<div class="items">', *shown, "</div>"] if shown else ["<p>None.</p>"]
    return lines


def read_values(items: Sequence[ItemScore]) -> dict[str, ItemScore]:
    """Item -> its value on the first metric that it counts for."""
    values: dict[str, ItemScore] = {}
    for one in items:
        values.setdefault(one.item, one)
    return values


def read_asked(answers: Sequence[Answered]) -> dict[str, list[Answered]]:
    """Item -> the model's own answers, in order."""
    asked: dict[str, list[Answered]] = {}
    for one in answers:
        if one.control == MODEL:
            asked.setdefault(one.item, []).append(one)
    return asked


def find_worst(
    values: Mapping[str, ItemScore], asked: Mapping[str, Sequence[Answered]], seed: int
) -> list[str]:
    """The items of the worst mistakes, the worst first."""
    wrong = [item for item, one in values.items() if one.value < WRONG_BELOW]
    wrong.sort(
        key=lambda item: (
            values[item].value,
            -max(map(_preference, asked[item])),
            rank("report", seed, item),
        )
    )
    return wrong[:SHOWN]


def _preference(answer: Answered) -> float:
    """Log-likelihood of the answer above that of the right one; 0 of a right or written answer."""
    if not answer.scores or answer.target not in answer.candidates:
        return 0.0
    return max(answer.scores) - answer.scores[answer.candidates.index(answer.target)]


def _draw_item(value: ItemScore, answers: Sequence[Answered], images: ImageStore) -> str:
    """Pictures and prompt of the request that went most wrong, and every answer of the item."""
    shown = max(answers, key=_preference)
    figures = "".join(
        f'<img alt="picture {place}" '
        f'src="{write_address(draw_thumbnail(images, reference, SIDE, QUALITY))}">'
        for place, reference in enumerate(shown.images)
    )
    rows = "".join(
        f'<tr class="{"shown" if one is shown and len(answers) > 1 else "other"}">'
        f"<td>{escape(one.text) or '<i>nothing</i>'}</td><td>{escape(one.target)}</td>"
        f'<td class="figure">{_describe(one)}</td></tr>'
        for one in answers
    )
    more = f"<p>One of {len(answers)} prompts.</p>" if len(answers) > 1 else ""
    grade = "wrong" if value.value < WRONG_BELOW else "right"
    return (
        f'<article class="{grade}"><div>{figures}</div><pre>{escape(shown.prompt)}</pre>{more}'
        f"<table><tr><th>answer</th><th>target</th><th>sure</th></tr>{rows}</table>"
        f"<p>{escape(value.metric)} {value.value:.1f} <small>{escape(value.item)}</small></p>"
        "</article>"
    )


def _describe(answer: Answered) -> str:
    """How sure the model was, in words that fit a cell."""
    if answer.kind == "yes_probability":
        ((probability,), _) = read_probabilities([answer])
        return f"P(yes) {probability:.2f}"
    if not answer.scores:
        return "-"
    return f"by {_preference(answer):.2f} nats" if _preference(answer) else "right"
