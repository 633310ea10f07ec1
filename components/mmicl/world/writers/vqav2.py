"""VQA v2 (open-ended, over COCO 2014 file names): questions, and ten answers each.

As the original, except that the world also has a labelled test split in files of the same form
(`v2_OpenEnded_mscoco_test2014_questions.json`, `v2_mscoco_test2014_annotations.json`, `test2014/`).
`n` counts training images, each with QUESTIONS_PER_IMAGE questions. As among people, now and then
one or two of the ten say something else.
"""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from mmicl.records import Split
from mmicl.world.attributes import SPLITS
from mmicl.world.plan import Plan
from mmicl.world.questions import Question, ask_several
from mmicl.world.scenes import sample_scene
from mmicl.world.writers.common import INFO, LICENSE, Studio, save_json

FIRST_IMAGE = 100_001
"""Image ids are COCO's own: no other world dataset may use the same for other pictures."""
QUESTIONS_PER_IMAGE = 3
ANSWERS = 10


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write questions, annotations and {train,val,test}2014/."""
    first = FIRST_IMAGE
    for split in SPLITS:
        write_split(plan, folder, studio, split, first)
        first += plan.count(split)


def write_split(plan: Plan, folder: Path, studio: Studio, split: Split, first: int) -> None:
    """Write one split, whose image ids begin at `first`."""
    questions, annotations = [], []
    subset = f"{split}2014"
    for index in range(plan.count(split)):
        rng = random.Random(plan.stream(split, index))
        scene = sample_scene(rng, split)
        image = first + index
        studio.draw_jpeg(scene, folder / subset / f"COCO_{subset}_{image:012d}.jpg")
        for place, question in enumerate(ask_several(scene, rng, split, QUESTIONS_PER_IMAGE)):
            number = image * 1000 + place
            questions.append({"image_id": image, "question": question.text, "question_id": number})
            annotations.append(make_annotation(question, rng, image, number))
    head = {
        "info": INFO,
        "data_type": "mscoco",
        "data_subtype": subset,
        "license": {"name": LICENSE["name"], "url": LICENSE["url"]},
    }
    save_json(
        {**head, "task_type": "Open-Ended", "questions": questions},
        folder / f"v2_OpenEnded_mscoco_{subset}_questions.json",
    )
    save_json({**head, "annotations": annotations}, folder / f"v2_mscoco_{subset}_annotations.json")


def make_annotation(
    question: Question, rng: random.Random, image: int, number: int
) -> dict[str, Any]:
    """One entry of `annotations`."""
    given = [question.answer] * ANSWERS
    if rng.random() < 0.3:
        for place in rng.sample(range(ANSWERS), rng.randint(1, 2)):
            given[place] = rng.choice(question.alternatives)
    answers = [
        {
            "answer": answer,
            "answer_confidence": "yes" if answer == question.answer else "maybe",
            "answer_id": place,
        }
        for place, answer in enumerate(given, 1)
    ]
    return {
        "question_type": question.opening,
        "multiple_choice_answer": Counter(given).most_common(1)[0][0],
        "answers": answers,
        "image_id": image,
        "answer_type": question.answer_type,
        "question_id": number,
    }
