"""VCR: questions about numbered objects, four answers, four rationales.

As the original's `{train,val,test}.jsonl` and `vcr1images/<movie>/`, except that the world's test
split is labelled. Objects are named by their shape. `n` counts training questions, two an image.
In the `_orig` texts objects count from 1, in the token lists from 0, as in the original.
"""

import random
from pathlib import Path
from typing import Any

from mmicl.records import Split
from mmicl.world.attributes import SPLITS
from mmicl.world.episodes import ObjectQuestion, Token, ask_about_objects
from mmicl.world.plan import Plan
from mmicl.world.rendering import SIZE, Placement, lay_out
from mmicl.world.scenes import sample_scene
from mmicl.world.writers.common import Studio, save_json, save_lines

QUESTIONS_PER_IMAGE = 2
FOLDS = 5


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write {train,val,test}.jsonl and vcr1images/."""
    for split in SPLITS:
        records: list[dict[str, Any]] = []
        for image in range(-(-plan.count(split) // QUESTIONS_PER_IMAGE)):
            records += write_image(plan, folder, studio, split, image)
        save_lines(records[: plan.count(split)], folder / f"{split}.jsonl")


def write_image(
    plan: Plan, folder: Path, studio: Studio, split: Split, image: int
) -> list[dict[str, Any]]:
    """Write one image with its metadata, and make its records."""
    rng = random.Random(plan.stream(split, image))
    scene = sample_scene(rng, split, least=3)
    placements = lay_out(scene)
    movie = f"world_{split}"
    stem = f"{movie}/{movie}_{image:05d}@0"
    studio.draw_jpeg(scene, folder / "vcr1images" / f"{stem}.jpg")
    save_json(make_metadata(placements), folder / "vcr1images" / f"{stem}.json")
    records: list[dict[str, Any]] = []
    seen: list[ObjectQuestion] = []
    while len(seen) < QUESTIONS_PER_IMAGE:
        asked = ask_about_objects(scene, rng)
        if any(asked.question == other.question for other in seen):
            continue
        number = image * QUESTIONS_PER_IMAGE + len(seen)
        head = {
            "movie": movie,
            "objects": [thing.shape for thing in scene.things],
            "interesting_scores": [0],
            "answer_likelihood": "likely",
            "img_fn": f"{stem}.jpg",
            "metadata_fn": f"{stem}.json",
        }
        ids = {
            "img_id": f"{split}-{image}",
            "question_number": len(seen),
            "annot_id": f"{split}-{number}",
            "match_fold": f"{split}-{image % FOLDS}",
            "match_index": number,
        }
        records.append({**head, **make_texts(asked), **ids})
        seen.append(asked)
    return records


def make_metadata(placements: list[Placement]) -> dict[str, Any]:
    """Boxes (left, top, right, bottom, score), segments and names of the objects."""
    return {
        "boxes": [[*map(float, placement.box), 1.0] for placement in placements],
        "segms": [
            [[[round(x, 2), round(y, 2)] for x, y in placement.outline]] for placement in placements
        ],
        "names": [placement.thing.shape for placement in placements],
        "width": SIZE,
        "height": SIZE,
    }


def make_texts(asked: ObjectQuestion) -> dict[str, Any]:
    """The question with its choices, in tokens and in plain text."""
    return {
        "answer_orig": write_plain(asked.answers[asked.answer]),
        "question_orig": write_plain(asked.question),
        "rationale_orig": write_plain(asked.reasons[asked.reason]),
        "question": asked.question,
        "answer_match_iter": list(range(len(asked.answers))),
        "answer_sources": list(range(len(asked.answers))),
        "answer_choices": asked.answers,
        "answer_label": asked.answer,
        "rationale_choices": asked.reasons,
        "rationale_sources": list(range(len(asked.reasons))),
        "rationale_match_iter": list(range(len(asked.reasons))),
        "rationale_label": asked.reason,
    }


def write_plain(tokens: list[Token]) -> str:
    """Tokens as the original's plain text: objects by number, counted from 1."""
    words = [
        token if isinstance(token, str) else " and ".join(str(index + 1) for index in token)
        for token in tokens
    ]
    return " ".join(words)
