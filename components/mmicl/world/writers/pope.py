"""POPE: is there such an object in the image? Three times yes, three times no an image.

As the original's `coco_pope_{random,popular,adversarial}.json` (JSON Lines) over `val2014/`.
Objects are the eight shapes. Absent ones are asked for by the original's three rules: at random,
the most frequent of the whole set, or those that most often stand beside what is there. Shapes are
therefore drawn unevenly, with companions. All of it is test; `n` counts images.
"""

import random
from collections import Counter
from pathlib import Path

from mmicl.world.attributes import SHAPES, Combination, list_combinations
from mmicl.world.plan import Plan
from mmicl.world.scenes import Scene, sample_scene
from mmicl.world.writers.common import Studio, save_lines

SETTINGS = ("random", "popular", "adversarial")
FIRST_IMAGE = 200_001
"""Image ids are COCO's own: no other world dataset may use the same for other pictures."""
PER_ANSWER = 3


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write the three settings and val2014/."""
    scenes: list[Scene] = []
    for index in range(plan.n):
        rng = random.Random(plan.stream("test", index))
        scene = draw_scene(rng)
        scenes.append(scene)
        studio.draw_jpeg(scene, folder / "val2014" / name_image(index))
    frequency = Counter(shape for scene in scenes for shape in list_shapes(scene))
    together: Counter[tuple[str, str]] = Counter()
    for scene in scenes:
        shapes = list_shapes(scene)
        together.update((one, other) for one in shapes for other in shapes if one != other)
    for setting in SETTINGS:
        records = []
        for index, scene in enumerate(scenes):
            rng = random.Random(f"{plan.stream('test', index)}/{setting}")
            absent = choose_absent(scene, setting, rng, frequency, together)
            present = rng.sample(list_shapes(scene), PER_ANSWER)
            for yes, no in zip(present, absent, strict=True):
                for shape, label in ((yes, "yes"), (no, "no")):
                    records.append(
                        {
                            "question_id": len(records) + 1,
                            "image": name_image(index),
                            "text": f"Is there a {shape} in the image?",
                            "label": label,
                        }
                    )
        save_lines(records, folder / f"coco_pope_{setting}.json")


def name_image(index: int) -> str:
    """A file name of COCO 2014."""
    return f"COCO_val2014_{FIRST_IMAGE + index:012d}.jpg"


def list_shapes(scene: Scene) -> list[str]:
    """The different shapes of a scene, sorted."""
    return sorted({thing.shape for thing in scene.things})


def draw_scene(rng: random.Random) -> Scene:
    """A scene of at least three shapes, over a palette in which some shapes are more likely."""
    while True:
        scene = sample_scene(rng, "test", least=3, palette=draw_palette(rng))
        if len(list_shapes(scene)) >= PER_ANSWER:
            return scene


def draw_palette(rng: random.Random) -> tuple[Combination, ...]:
    """All combinations of five shapes: a frequent one, its neighbours, and others."""
    weights = [len(SHAPES) - place for place in range(len(SHAPES))]
    center = rng.choices(range(len(SHAPES)), weights)[0]
    near = [SHAPES[(center + step) % len(SHAPES)] for step in range(3)]
    shapes = {*near, *rng.sample(SHAPES, 2)}
    return tuple(item for item in list_combinations("test") if item.shape in shapes)


def choose_absent(
    scene: Scene,
    setting: str,
    rng: random.Random,
    frequency: Counter[str],
    together: Counter[tuple[str, str]],
) -> list[str]:
    """Three shapes that the scene lacks, by the rule of a setting."""
    present = list_shapes(scene)
    absent = [shape for shape in SHAPES if shape not in present]
    rng.shuffle(absent)
    if setting == "popular":
        absent.sort(key=lambda shape: -frequency[shape])
    if setting == "adversarial":
        absent.sort(key=lambda shape: -sum(together[one, shape] for one in present))
    return absent[:PER_ANSWER]
