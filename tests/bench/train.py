"""How fast a stage trains, beside the original's procedure: `make bench-train`.

    python tests/bench/train.py --profile tiny --device cpu
    python tests/bench/train.py --profile xl --device cuda --sweep
    python tests/bench/train.py --profile xl --device cuda --stage pretrain
    python tests/bench/train.py --profile xxl --device cuda --pairs 0

Blocks of steps alternate between the product (its Trainer over packed batches and cached features)
and the reference (train_reference.py) with the same weights, samples and optimizer, in one process.
`xl` and `xxl` are random weights of the published shapes. Needs torch, transformers, deepspeed
and this checkout's `components` on PYTHONPATH; downloads nothing. Figures: docs/performance.md.
"""

import argparse
import gc
import itertools
import os
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from train_data import decode_all, draw_samples, store_pictures
from train_measure import (
    Block,
    Side,
    held_memory,
    list_kernels,
    measure_batch_seconds,
    measure_copy_rate,
    measure_matrix_rate,
    run_block,
)
from train_model import build_ours, build_reference
from train_reference import ReferenceBatches
from train_report import Machine, Weights, compare, describe, find_floor, write_table

from mmicl.config import Launch, Training, find_profile, load_config
from mmicl.files import write_json
from mmicl.model.features import DTYPES, FeatureStore, feature_key
from mmicl.model.freeze import select_trainable
from mmicl.model.fused import compile_feed_forward, fuse_for_gpu, fuse_norms
from mmicl.model.views import View
from mmicl.train.batches import BatchMaker, load_features, load_pixels

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1",
    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29531",
    "NCCL_SOCKET_IFNAME": "lo", "GLOO_SOCKET_IFNAME": "lo",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip
"""One rank on this machine, with what the product's launcher sets."""
PROFILES = {"tiny": "tiny", "xl": "flan-t5-xl", "xxl": "flan-t5-xxl"}
PHOTO = {"tiny": (96, 80), "xl": (640, 480), "xxl": (640, 480)}
IMAGES = {"tiny": 256, "xl": 1024, "xxl": 256}
SAMPLES = 2048
REFERENCE_ROWS = {"tiny": 16, "xl": 12, "xxl": 3}
"""Of a micro-batch: the released scripts' for XL and XXL, the profile's for tiny."""


@dataclass(frozen=True)
class Variant:
    """How the product's model attends, and how large its micro-batches are."""

    attention: str
    compiled: bool
    micro_tokens: int

    @property
    def title(self) -> str:
        """In a few words."""
        compiled = ", compiled feed-forward" if self.compiled else ""
        return f"{self.attention}{compiled}, {self.micro_tokens} tokens"


def main() -> int:
    """Measure, print, write."""
    options = parse_options()
    for name, value in {**ENVIRONMENT, "DS_ACCELERATOR": options.device}.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=UserWarning)
    bench = Bench(options)
    with tempfile.TemporaryDirectory() as folder:
        bench.prepare(Path(folder))
        if options.sweep:
            bench.sweep()
        bench.pair()
        kernels = list_kernels(bench.ours) if options.kernels else ""
    say(kernels + write_table(bench.result["sides"]))
    if "ratio" in bench.result:
        found = bench.result["ratio"]
        low, high = found["range"]
        say(f"ours / reference: {found['ratio']:.3g} ({low:.3g} to {high:.3g})")
    return 0


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--profile", choices=PROFILES, default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--stage", choices=("pretrain", "finetune"), default="finetune")
    parser.add_argument("--pairs", type=int, default=5, help="0 leaves the reference out")
    parser.add_argument("--steps", type=int, help="of ours in a block: 6, on a GPU 16")
    parser.add_argument("--reference-steps", type=int, default=2)
    parser.add_argument("--attention", default="", help="eager, sdpa, shared: one, or a list")
    parser.add_argument("--compile", action="store_true", help="the feed-forward layers")
    parser.add_argument(
        "--micro-tokens", default="", help="one, or a list for --sweep: rows are free then"
    )
    parser.add_argument(
        "--rows", type=int, help="of ours in a micro-batch, at the most: the profile's"
    )
    parser.add_argument("--global-batch", type=int)
    parser.add_argument("--recompute", action="store_true", help="activations, on both sides")
    parser.add_argument("--sweep", action="store_true", help="choose the fastest variant first")
    parser.add_argument("--kernels", action="store_true", help="list where the time goes")
    parser.add_argument("--budget-s", type=float, default=480, help="begin no block after this")
    parser.add_argument("--layers", type=int, help="of every tower, to try this script out")
    parser.add_argument("--images", type=int, help="in the store")
    parser.add_argument("--precision", choices=DTYPES, help="the profile's by default")
    parser.add_argument("--out", type=Path, help="JSON")
    return parser.parse_args()


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


class Bench:
    """One stage of one profile."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.started = options, time.monotonic()
        self.device = torch.device(options.device)
        config = load_config(find_profile(ROOT, PROFILES[options.profile]))
        self.seed = config.seed
        self.training: Training = getattr(config, options.stage)
        for key in ("global_batch", "precision"):
            if value := getattr(options, key):
                self.training = self.training.model_copy(update={key: value})
        alone = {"processes": 1, "checkpoint_every": 10**9, "peak_tflops": None}
        alone["activation_checkpointing"] = options.recompute
        launch = config.launch.model_copy(update=alone)
        rows = self.training.global_batch if options.micro_tokens else launch.micro_batch
        self.launch: Launch = launch.model_copy(update={"micro_batch": options.rows or rows})
        self.recipe = (
            "stage1" if options.stage == "pretrain" else config.finetune.trainable_attention
        )
        self.precision = self.training.precision
        self.dtype = DTYPES[self.precision]
        self.result: dict[str, Any] = {"options": {k: str(v) for k, v in vars(options).items()}}
        gpu = options.device == "cuda"
        attention = options.attention.split(",") if options.attention else []
        self.attentions = attention or (["eager", "sdpa", "shared"] if gpu else ["sdpa"])
        tokens = [int(value) for value in options.micro_tokens.split(",") if value]
        self.tokens = tokens or [launch.micro_tokens]
        self.variant = Variant(self.attentions[-1], options.compile, self.tokens[-1])

    def note(self, line: str) -> None:
        """Say a line with the seconds since the start."""
        say(f"[{time.monotonic() - self.started:6.1f} s] {line}")

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return time.monotonic() - self.started > self.options.budget_s

    def prepare(self, folder: Path) -> None:
        """Measure the machine; make samples, model, features and the product's engine."""
        import deepspeed

        from mmicl.train.engine import configure_torch, start_ranks

        if self.device.type == "cuda":  # which of its own operators it could compile: none is used
            deepspeed.ops.__dict__.setdefault("__compatible_ops__", {})
        configure_torch(self.seed, int(os.environ.get("OMP_NUM_THREADS", "1")))
        self.machine = self._measure_machine()
        start_ranks()
        profile = self.options.profile
        self._make_model()
        self.note(f"{sum(map(torch.numel, self.model.parameters())) / 1e9:.3f} G weights made")
        images, references = store_pictures(
            folder / "images", PHOTO[profile], self.options.images or IMAGES[profile]
        )
        self.samples = draw_samples(self.options.stage, references, SAMPLES)
        self.note(f"{len(references)} images in store")
        self.images, self.references = images, references
        if self.options.stage == "pretrain":
            self.visual = load_pixels(images, self.processor)
        else:
            self.visual = load_features(self._cache_features(folder / "features"))
        self._make_ours()
        self._use(Variant(self.attentions[0], False, self.tokens[0]))
        seconds = measure_batch_seconds(self.ours)
        self.note(
            f"engine ready; a global batch takes {seconds:.3g} s of one core to make, "
            f"{self.launch.workers} workers make them"
        )
        self.result["batch_seconds"] = seconds

    def _make_model(self) -> None:
        """The product's model and processor."""
        self.model, self.processor = build_ours(
            self.options.profile, self.device, self.dtype, self.options.layers
        )

    def _make_ours(self) -> None:
        """The product's engine around its model."""
        select_trainable(self.model, self.recipe)
        self.ours = self._make_side("ours", self.model)

    def _measure_machine(self) -> Machine:
        """Name and rates of the device, said and noted."""
        gpu = self.device.type == "cuda"
        name = torch.cuda.get_device_name() if gpu else f"{torch.get_num_threads()} thread(s)"
        matrix = measure_matrix_rate(self.device, self.dtype)
        machine = Machine(name, matrix, measure_copy_rate(self.device))
        self.note(
            f"{machine.name}, torch {torch.__version__}: products in {self.precision} at "
            f"{machine.matrix_rate / 1e12:.4g} TFLOP/s, copies at "
            f"{machine.copy_rate / 1e9:.4g} GB/s"
        )
        self.result["machine"] = asdict(machine) | {"torch": torch.__version__}
        return machine

    def _cache_features(self, folder: Path) -> FeatureStore:
        """What the stage `features` makes, by its own code."""
        precision: Any = self.precision
        started = time.monotonic()
        store = FeatureStore(folder, feature_key(self.model, self.processor, precision), precision)
        store.ensure(
            map(View, self.references),
            self.images,
            self.model,
            self.processor,
            workers=os.cpu_count() or 1,
        )
        seconds = time.monotonic() - started
        self.note(f"{len(store)} features cached in {seconds:.1f} s, hashing the weights included")
        return store

    def _make_side(self, name: str, model: Any) -> Side:
        """An engine around a model, and batches for it."""
        from mmicl.train.engine import build_engine

        reference = name == "reference"
        rows = REFERENCE_ROWS[self.options.profile] if reference else self.launch.micro_batch
        launch = self.launch.model_copy(update={"micro_batch": rows})
        visual = self.visual
        if reference:
            visual = decode_all(self.references, self.images, self.processor, launch.workers)
        kind = ReferenceBatches if reference else BatchMaker
        batches = kind(
            self.samples,
            self.processor,
            visual,
            ranks=1,
            rank=0,
            micro_batch=rows,
            micro_tokens=launch.micro_tokens,
            max_target_tokens=self.training.max_target_tokens,
        )
        engine = build_engine(model, self.training, launch)
        return Side(name, model, engine, batches, self.training, launch)

    def _use(self, variant: Variant) -> None:
        """Change the product's model: from plain to shared to compiled, never back."""
        if variant.attention == "shared":
            fuse_for_gpu(self.model)
        else:
            self.model.language_model.set_attn_implementation(variant.attention)
            if self.device.type == "cuda":
                fuse_norms(self.model)
        if variant.compiled and not self.variant.compiled:
            compile_feed_forward(self.model)
        self.ours.batches.micro_tokens = variant.micro_tokens
        self.variant = variant

    def sweep(self) -> None:
        """Try the variants, and go on with the fastest, on a fresh model."""
        first, last = self.tokens[0], self.attentions[-1]
        plain = [Variant(name, False, first) for name in self.attentions[:-1]]
        kinds = itertools.product((False, True), self.tokens)
        rates: dict[Variant, float] = {}
        for variant in plain + [Variant(last, *kind) for kind in kinds]:
            if self.spent:
                break
            self._use(variant)
            try:
                block = self._run(f"sweep, {variant.title}", self.ours, 3, seed=7)
                rates[variant] = block.samples / block.seconds
            except Exception as error:  # no memory, or a compiler that does not work here
                self.note(f"sweep, {variant.title}: {str(error).strip().splitlines()[0]}")
                self._start_afresh()
        self.result["sweep"] = {variant.title: rate for variant, rate in rates.items()}
        best = max(rates, key=lambda variant: rates[variant])
        self.note(f"fastest: {best.title}")
        if self.variant.attention != best.attention or self.variant.compiled != best.compiled:
            self._start_afresh()
        self._use(best)
        self._write()

    def _start_afresh(self) -> None:
        """Another model and engine: what was fused, compiled or cut off stays with the old ones."""
        self.ours.engine.destroy()
        del self.ours, self.model
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.variant = Variant(self.attentions[0], False, self.tokens[0])
        self._make_model()
        self._make_ours()

    def _run(self, title: str, side: Side, steps: int, seed: int) -> Block:
        """A block, said in one line."""
        block = run_block(side, steps, seed)
        found = describe([block], self.machine)
        self.note(
            f"{title}: {found['samples_per_second']:.4g} samples/s, MFU {found['mfu']:.1%}, "
            f"{block.micro_batches / block.steps:.3g} micro-batches a step of "
            f"{found['step_seconds']:.3g} s, padding {block.padding_share:.1%}, "
            f"data wait {block.wait_share:.2%}, peak {block.peak_gib:.4g} GiB"
        )
        return block

    def pair(self) -> None:
        """Alternate blocks of both sides; the result holds medians, ratios and floors."""
        options = self.options
        if not options.sweep:
            self._use(Variant(self.attentions[-1], options.compile, self.tokens[-1]))
        self._run("ours, warming up", self.ours, 1, seed=1)
        sides = [self.ours]
        if options.pairs:
            sides.append(self._make_reference())
        # more than the workers have made when the first is counted: data must come as it goes
        own = options.steps or (16 if self.device.type == "cuda" else 6)
        steps = {"ours": own, "reference": options.reference_steps}
        blocks: dict[str, list[Block]] = {side.name: [] for side in sides}
        for pair in range(options.pairs or 3):
            if self.spent and pair:
                break
            for side in sides:
                title = f"{pair}, {side.name}"
                blocks[side.name].append(self._run(title, side, steps[side.name], 100 + pair))
            self._sum_up(sides, blocks)
            self._write()

    def _make_reference(self) -> Side:
        """The other side; what each holds is left out of the other's peak memory."""
        before = held_memory()
        model = build_reference(self.options.profile, self.device, self.dtype, self.options.layers)
        select_trainable(model, self.recipe)
        reference = self._make_side("reference", model)
        reference.beside = before
        self._run("reference, warming up", reference, 1, seed=1)
        self.ours.beside = held_memory() - before
        return reference

    def _sum_up(self, sides: list[Side], blocks: dict[str, list[Block]]) -> None:
        self.result["variant"] = asdict(self.variant)
        self.result["sides"] = {}
        for side in sides:
            described = describe(blocks[side.name], self.machine)
            floor = find_floor(blocks[side.name], self.machine, self._weights(side))
            self.result["sides"][side.name] = {**described, "floor": floor}
        if len(self.result["sides"]) == 2:
            self.result["ratio"] = compare(blocks["ours"], blocks["reference"])

    def _weights(self, side: Side) -> Weights:
        """What a step of a side reads."""
        sizes = {
            name: sum(value.numel() for value in part.parameters())
            for name, part in side.model.named_children()
        }
        pixels = side.name == "reference" or self.options.stage == "pretrain"
        aligning = self.options.stage == "pretrain"
        twice = sizes["language_model"] + sizes["language_projection"]
        twice += sizes["qformer"] if aligning else 0
        once = sizes["vision_model"] + (0 if aligning else sizes["qformer"])
        trained = [value.numel() for value in side.model.parameters() if value.requires_grad]
        return Weights(twice, once if pixels else 0, sum(trained), self.precision)

    def _write(self) -> None:
        if self.options.out:
            write_json(self.options.out, self.result)


if __name__ == "__main__":
    sys.exit(main())
