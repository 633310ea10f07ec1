"""`python -m mmicl.train.tiny --out FOLDER`: train the miniature backbone, and measure it.

A killed run goes on from its last checkpoint. Equal arguments give equal weights on one machine
and one thread count; data is a pure function of (seed, step).
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmicl.errors import MmiclError
from mmicl.mic.templates import load_bank
from mmicl.records import Template

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.model.processor import MmiclProcessor

log = logging.getLogger("mmicl.train.tiny")

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.01
VISION_STEPS, LANGUAGE_STEPS = 16000, 13000
BATCH = 64
VISION_FILE, LANGUAGE_FILE = "vision.safetensors", "language.safetensors"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m mmicl.train.tiny", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder in the hub's layout")
    parser.add_argument("--state", type=Path, required=True, help="where checkpoints lie")
    parser.add_argument(
        "--bank", type=Path, default=Path("data/instructions.jsonl"),
        help="instruction bank, as the stage augment writes it",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vision-steps", type=int, default=VISION_STEPS)
    parser.add_argument("--language-steps", type=int, default=LANGUAGE_STEPS)
    parser.add_argument("--vision-batch", type=int, default=BATCH)
    parser.add_argument("--language-batch", type=int, default=BATCH)
    parser.add_argument("--measure", type=int, default=200, help="prompts a skill and split")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--workers", type=int, default=0, help="processes that make the batches")
    parser.add_argument("--vision-hardware", default="one core", help="told by the card")
    parser.add_argument("--language-hardware", default="one core", help="told by the card")
    parser.add_argument("--nice", type=int, default=19)
    parser.add_argument(
        "--part", choices=("vision", "language", "all"), default="all",
        help="train one half alone; `all` trains what is left of both and writes the backbone",
    )  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write the backbone and its measured quality."""
    options = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    os.nice(options.nice)
    try:
        run(options)
    except MmiclError as error:
        log.error("%s", error)
        return 2
    return 0


def run(options: argparse.Namespace) -> None:
    """Train the parts asked for; with both trained, write and measure."""
    import torch

    from mmicl.model.loading import load_model
    from mmicl.model.tiny import (
        CORPUS,
        build_config,
        build_model,
        build_tokenizer,
        read_corpus,
        write_backbone,
    )
    from mmicl.train.tiny.loop import find_share

    torch.set_num_threads(options.threads)
    bank = load_bank(options.bank)
    options.state.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(read_corpus(CORPUS))
    with tempfile.TemporaryDirectory() as start:
        write_backbone(Path(start) / "tiny", build_model(build_config(), options.seed), tokenizer)
        model, processor = load_model(f"{start}/tiny")
    if "WORLD_SIZE" in os.environ:  # under torchrun; before this, rank 0 alone could save a model
        torch.distributed.init_process_group("gloo")
    seconds: dict[str, float] = {}
    if options.part in ("vision", "all"):
        seconds["vision"] = train_vision(model, processor, options)
    if options.part in ("language", "all"):
        seconds["language"] = train_language(model, processor, bank, options)
    if options.part == "all" and find_share()[0] == 0:
        write_backbone(options.out, model.cpu(), tokenizer)
        write_card(options, bank, seconds)


def train_vision(
    model: "Blip2ForConditionalGeneration",
    processor: "MmiclProcessor",
    options: argparse.Namespace,
) -> float:
    """Train ViT and Q-Former; returns the seconds."""
    import torch

    from mmicl.train.tiny.loop import find_share, train
    from mmicl.train.tiny.vision import Namer, NamingTask, enlarge_features, initialize

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        namer = Namer(model)
    initialize(namer, options.seed)
    namer.to(options.device)
    namer.train()
    steps = options.vision_steps
    task = NamingTask(namer, processor, options.seed, steps, options.vision_batch)
    seconds = train(
        namer, task, workers=options.workers, steps=steps,
        learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY,
        checkpoint=options.state / VISION_FILE, report=lambda line: log.info("vision %s", line),
    )  # fmt: skip
    if find_share()[0]:
        return seconds
    namer.eval()
    for split in ("train", "val", "test"):
        log.info("vision %s %s", split, task.measure(split, 2 * options.measure))
    enlarge_features(model)
    return seconds


def train_language(
    model: "Blip2ForConditionalGeneration",
    processor: "MmiclProcessor",
    bank: Mapping[str, list[Template]],
    options: argparse.Namespace,
) -> float:
    """Train T5; returns the seconds."""
    import torch

    from mmicl.train.tiny.language import Reader, look_nearby
    from mmicl.train.tiny.loop import find_share, train
    from mmicl.train.tiny.reading import ReadingTask

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        reader = Reader(model, processor).to(options.device)
    look_nearby(model)
    reader.train()
    steps = options.language_steps
    task = ReadingTask(
        reader, bank, seed=options.seed, steps=steps, batch_size=options.language_batch
    )
    seconds = train(
        reader, task, workers=options.workers, steps=steps,
        learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY,
        checkpoint=options.state / LANGUAGE_FILE, report=lambda line: log.info("language %s", line),
    )  # fmt: skip
    if find_share()[0]:
        return seconds
    reader.eval()
    log.info("language val %s", task.measure("val", options.measure))
    return seconds


def write_card(
    options: argparse.Namespace, bank: Mapping[str, list[Template]], seconds: Mapping[str, float]
) -> None:
    """Measure what was written; quality.json and README.md beside the weights tell it."""
    from mmicl.files import write_json
    from mmicl.train.tiny.card import write_card as write_text
    from mmicl.train.tiny.quality import measure_backbone

    measured, parameters = measure_backbone(options.out, bank, options.seed, options.measure)
    given = vars(options)
    made = {
        "seed": options.seed,
        "parameters": parameters,
        "measured_on": options.measure,
        **{
            name: {
                "steps": given[f"{name}_steps"],
                "learning_rate": LEARNING_RATE,
                "weight_decay": WEIGHT_DECAY,
                "batch": given[f"{name}_batch"],
                "seconds": round(seconds[name]),
                "hardware": given[f"{name}_hardware"],
            }
            for name in ("vision", "language")
        },
    }
    write_json(options.out / "quality.json", {"made": made, "measured": measured})
    (options.out / "README.md").write_text(write_text(made, measured), encoding="utf-8")
    for name, figures in measured.items():
        log.info("%s: %s", name, figures)


if __name__ == "__main__":
    sys.exit(main())
