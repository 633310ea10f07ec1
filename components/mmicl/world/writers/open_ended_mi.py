"""Open-Ended miniImageNet: made-up names shown on one or two pictures each, then one to be named.

As the original's `open_ended_mi_shots_<s>_ways_2_all_questions.json` with the pictures beside it.
The original is test only and lies in one folder; here are `train/`, `val/` and `test/`. Episodes
have one and two shots by turns; `n` counts those of training.
"""

import random
from pathlib import Path
from typing import Any

from mmicl.world.attributes import SPLITS, add_article
from mmicl.world.plan import Plan
from mmicl.world.several import LabelEpisode, sample_label_episode
from mmicl.world.writers.common import Studio, save_json

SHOTS = (1, 2)


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write the questions and the pictures of every split."""
    for split in SPLITS:
        records: dict[int, list[dict[str, Any]]] = {shots: [] for shots in SHOTS}
        for number in range(plan.count(split)):
            shots = SHOTS[number % len(SHOTS)]
            rng = random.Random(plan.stream(split, number))
            episode = sample_label_episode(rng, split, shots)
            stem = f"open_ended_mi_shots_{shots}_ways_2"
            record = make_record(episode, stem, number // len(SHOTS))
            save_pictures(studio, episode, record, folder / split)
            records[shots].append(record)
        for shots, own in records.items():
            name = f"open_ended_mi_shots_{shots}_ways_2_all_questions.json"
            save_json(own, folder / split / name)


def make_record(episode: LabelEpisode, stem: str, number: int) -> dict[str, Any]:
    """One question with its named pictures."""
    record: dict[str, Any] = {"question_id": number}
    for place, (_, name) in enumerate(episode.support, start=1):
        record[f"image_{place}"] = f"{stem}_id_{number}_image_{place}.jpg"
        record[f"caption_{place}"] = f"This is {add_article(name)}."
    return record | {
        "question_image": f"{stem}_id_{number}_question.jpg",
        "question": "What is this?",
        "answer": episode.answer,
    }


def save_pictures(
    studio: Studio, episode: LabelEpisode, record: dict[str, Any], folder: Path
) -> None:
    """Save the pictures under the names that the record gives them."""
    for place, (scene, _) in enumerate(episode.support, start=1):
        studio.draw_jpeg(scene, folder / record[f"image_{place}"])
    studio.draw_jpeg(episode.query, folder / record["question_image"])
