"""Mantis: questions about one of several pictures by its number, and which of several it is.

As Mantis-Instruct (`train.json`, `val.json`: conversations) and Mantis-Eval (`test.json`: short
answers); pictures are named by paths beside the files, and texts count them from 1. One question is
drawn for each set of pictures, in training every fourth a `which`; `n` counts training questions,
so sets.

Test asks of a set what two of its pictures answer differently (`proxy`: two records) and the same
of each of the two alone (`single`: two records), so that a wrong picture can be told from a picture
not understood. Two of three sets of test are a `which`: one record each, where the others make
four. Records of one set share their id's beginning.
"""

import random
import re
from pathlib import Path
from typing import Any

from mmicl.records import Split
from mmicl.world.plan import Plan
from mmicl.world.rendering import render_scene
from mmicl.world.scenes import Scene
from mmicl.world.several import ProxySet, WhichSet, sample_proxy_set, sample_which_set
from mmicl.world.writers.common import save_jpeg, save_json

PROXY_SETS = {"train": (3, 4), "val": (3, 4), "test": (1, 3)}
"""How many of how many sets in turn are asked about by number."""
_REFERENCE = re.compile(r"<image:(\d+)>")


def write(plan: Plan, folder: Path) -> None:
    """Write train.json, val.json, test.json and images/."""
    for split in ("train", "val"):
        talks = []
        for number in range(plan.count(split)):
            drawn = draw_set(plan, split, number)
            images = save_pictures(drawn.scenes, folder, f"images/{split}/{number}")
            talks.append(make_conversation(drawn, f"{split}-{number}", images))
        save_json(talks, folder / f"{split}.json")
    questions = []
    for number in range(plan.count("test")):
        drawn = draw_set(plan, "test", number)
        images = save_pictures(drawn.scenes, folder, f"images/test/{number}")
        questions += make_questions(drawn, f"test-{number}", images)
    save_json(questions, folder / "test.json")


def draw_set(plan: Plan, split: Split, number: int) -> ProxySet | WhichSet:
    """The set of a number."""
    rng = random.Random(plan.stream(split, number))
    some, all_ = PROXY_SETS[split]
    return (sample_proxy_set if number % all_ < some else sample_which_set)(rng, split)


def save_pictures(scenes: tuple[Scene, ...], folder: Path, stem: str) -> list[str]:
    """Save a set's pictures; their paths beside the JSON files."""
    names = [f"{stem}_{place}.jpg" for place in range(len(scenes))]
    for name, scene in zip(names, scenes, strict=True):
        save_jpeg(render_scene(scene), folder / name)
    return names


def make_conversation(
    drawn: ProxySet | WhichSet, identifier: str, images: list[str]
) -> dict[str, Any]:
    """A record of train.json: one question, one answer."""
    if isinstance(drawn, WhichSet):
        text, answer = drawn.text, f"<image:{drawn.place}>"
    else:
        text, answer = drawn.ask(drawn.places[0])
    return {
        "id": identifier,
        "images": images,
        "conversations": [
            {"from": "human", "value": write_question(text, images)},
            {"from": "gpt", "value": number_images(answer)},
        ],
    }


def make_questions(
    drawn: ProxySet | WhichSet, identifier: str, images: list[str]
) -> list[dict[str, Any]]:
    """The records of test.json for one set."""
    if isinstance(drawn, WhichSet):
        asked = [("which", drawn.text, images, f"<image:{drawn.place}>")]
    else:
        answers = [(place, *drawn.ask(place)) for place in drawn.places]
        asked = [("proxy", text, images, answer) for _, text, answer in answers]
        asked += [
            ("single", drawn.ask_alone(place), [images[place]], answer)
            for place, _, answer in answers
        ]
    return [
        {
            "id": f"{identifier}-{part}",
            "question_type": "short-answer",
            "question": write_question(text, shown),
            "images": shown,
            "options": [],
            "answer": number_images(answer),
            "data_source": "world",
            "category": category,
        }
        for part, (category, text, shown, answer) in enumerate(asked)
    ]


def write_question(text: str, images: list[str]) -> str:
    """A question as Mantis writes it: a token for each picture before it."""
    return f"{'<image>' * len(images)} {number_images(text)}"


def number_images(text: str) -> str:
    """References as Mantis writes them: `image 1` is the first picture."""
    return _REFERENCE.sub(lambda match: f"image {int(match[1]) + 1}", text)
