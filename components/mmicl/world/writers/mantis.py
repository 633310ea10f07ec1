"""Mantis: questions about one of several pictures by its number, and which of several it is.

As Mantis-Instruct (`train.json`, `val.json`: conversations) and Mantis-Eval (`test.json`: short
answers); pictures are named by paths beside the files, and texts count them from 1. Several records
ask about one set of pictures: the same question about two of them, whose answers differ, and for
every second set which picture it is that shows something. `n` counts training questions.

Test asks of every set the question about two pictures (`proxy`: two records), the same of each of
the two alone (`single`: two records), so that a wrong picture can be told from a picture not
understood, and which picture it is (`which`). There `test` counts sets. Records of one set share
their id's beginning.
"""

import itertools
import random
import re
from pathlib import Path
from typing import Any

from mmicl.records import Split
from mmicl.world.plan import Plan
from mmicl.world.scenes import Scene
from mmicl.world.several import ProxySet, WhichSet, ask_which, sample_proxy_set
from mmicl.world.writers.common import Studio, save_json

WHICH_EVERY = 2
"""In training, of so many sets one is asked which picture it is; in test every one."""
TRIES = 50
_REFERENCE = re.compile(r"<image:(\d+)>")


Asked = tuple[str, str, list[str], str]
"""Category, question, pictures shown and answer."""


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write train.json, val.json, test.json and images/."""
    for split in ("train", "val"):
        talks: list[dict[str, Any]] = []
        for number in itertools.count():
            if len(talks) >= plan.count(split):
                break
            drawn, which = draw_set(plan, split, number)
            images = save_pictures(studio, drawn.scenes, folder, f"images/{split}/{number}")
            asked = ask_together(drawn, images)
            if which is not None and number % WHICH_EVERY == 0:
                asked.append(name_which(which, images))
            talks += [make_talk(one, f"{split}-{number}-{k}") for k, one in enumerate(asked)]
        save_json(talks[: plan.count(split)], folder / f"{split}.json")
    questions = []
    for number in range(plan.count("test")):
        drawn, which = draw_set(plan, "test", number)
        images = save_pictures(studio, drawn.scenes, folder, f"images/test/{number}")
        asked = ask_together(drawn, images) + ask_alone(drawn, images)
        if which is not None:
            asked.append(name_which(which, images))
        questions += [make_question(one, f"test-{number}-{k}") for k, one in enumerate(asked)]
    save_json(questions, folder / "test.json")


def draw_set(plan: Plan, split: Split, number: int) -> tuple[ProxySet, WhichSet | None]:
    """The set of a number, and what one of its pictures alone shows, if anything."""
    rng = random.Random(plan.stream(split, number))
    drawn = sample_proxy_set(rng, split)
    tries = (ask_which(rng, drawn.scenes) for _ in range(TRIES))
    return drawn, next((found for found in tries if found is not None), None)


def ask_together(drawn: ProxySet, images: list[str]) -> list[Asked]:
    """The question about each of two pictures of a set."""
    return [("proxy", text, images, answer) for text, answer in map(drawn.ask, drawn.places)]


def ask_alone(drawn: ProxySet, images: list[str]) -> list[Asked]:
    """The same with that picture alone."""
    return [
        ("single", drawn.ask_alone(place), [images[place]], drawn.ask(place)[1])
        for place in drawn.places
    ]


def name_which(which: WhichSet, images: list[str]) -> Asked:
    """Which picture of a set it is."""
    return "which", which.text, images, f"<image:{which.place}>"


def save_pictures(studio: Studio, scenes: tuple[Scene, ...], folder: Path, stem: str) -> list[str]:
    """Save a set's pictures; their paths beside the JSON files."""
    names = [f"{stem}_{place}.jpg" for place in range(len(scenes))]
    for name, scene in zip(names, scenes, strict=True):
        studio.draw_jpeg(scene, folder / name)
    return names


def make_talk(asked: Asked, identifier: str) -> dict[str, Any]:
    """A record of train.json: one question, one answer."""
    _, text, images, answer = asked
    return {
        "id": identifier,
        "images": images,
        "conversations": [
            {"from": "human", "value": write_question(text, images)},
            {"from": "gpt", "value": number_images(answer)},
        ],
    }


def make_question(asked: Asked, identifier: str) -> dict[str, Any]:
    """A record of test.json."""
    category, text, images, answer = asked
    return {
        "id": identifier,
        "question_type": "short-answer",
        "question": write_question(text, images),
        "images": images,
        "options": [],
        "answer": number_images(answer),
        "data_source": "world",
        "category": category,
    }


def write_question(text: str, images: list[str]) -> str:
    """A question as Mantis writes it: a token for each picture before it."""
    return f"{'<image>' * len(images)} {number_images(text)}"


def number_images(text: str) -> str:
    """References as Mantis writes them: `image 1` is the first picture."""
    return _REFERENCE.sub(lambda match: f"image {int(match[1]) + 1}", text)
