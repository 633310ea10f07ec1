"""What a profile will need before it is started: GPU memory, disk and hours.

Arithmetic, not measurement: every assumption is a named constant, and `mmicl plan` prints them.
Parameter counts follow from the published architectures (BLIP-2: arXiv 2301.12597; FLAN-T5 v1.1
shapes) and agree with transformers' own modules (see the unit test).
"""

from dataclasses import dataclass

from mmicl.config import Benchmark, Config, Quota
from mmicl.errors import UserError
from mmicl.records import MAX_PROXIES

GPU_TFLOPS = 150.0
"""Dense bf16 peak of the paper's GPU (NVIDIA A40), in TFLOP/s."""
UTILISATION = 0.35
"""Share of that peak a tuned loop reaches."""
IMAGES_PER_SAMPLE = 4.0
TEXT_TOKENS_PER_SAMPLE = 128.0
TARGET_TOKENS_PER_SAMPLE = 16.0
EVALUATION_TFLOPS = {"bf16": GPU_TFLOPS, "fp32": 37.4}
"""The same GPU's peak in each precision that `evaluate` may run in."""
WEIGHT_BYTES = {"bf16": 2, "fp32": 4}
TEXT_TOKENS_PER_QUESTION = 64.0
"""And of each worked example."""
STORED_IMAGE_BYTES = 100e3
"""A COCO-sized JPEG."""
OPTIMIZER_BYTES = 12
"""AdamW in mixed precision: fp32 master copy and two moments, per trained weight."""
LOADING_BYTES = 4
"""A weight in main memory while a training's processes start: each reads the whole model, in
float32, before its part goes to its GPU."""
GIB = 2**30


@dataclass(frozen=True)
class Asked:
    """What an item of a benchmark makes a model do.

    Attributes:
        requests: Prompts.
        images: Of each prompt, without worked examples; a video's are its frames.
        pictures: That no other item has, about: a video has as many questions as frames, or more.
        candidates: Answers that are scored or written.
    """

    requests: int = 1
    images: int = 1
    pictures: int = 1
    candidates: int = 1


ASKED = {
    "aokvqa": Asked(candidates=4),
    "bongard_hoi": Asked(images=13),
    "iconqa_img": Asked(images=5, pictures=5, candidates=4),
    "iconqa_txt": Asked(candidates=4),
    "mmbench": Asked(candidates=4),
    "nextqa": Asked(candidates=5),
    "nlvr2": Asked(images=2, candidates=2),
    "raven": Asked(requests=8, images=9, pictures=16, candidates=2),
    "raven_iq": Asked(requests=6, images=9, pictures=14, candidates=2),
    "scienceqa_all": Asked(candidates=4),
    "vcr": Asked(images=4, pictures=4, candidates=4),
    "visdial": Asked(candidates=100),
    "winoground": Asked(requests=4, images=2, candidates=2),
}
"""Those that are more than one question about one picture."""


@dataclass(frozen=True)
class Architecture:
    """Sizes of one starting point, in weights."""

    width: int
    feed_forward: int
    heads: int
    head_width: int = 64
    layers: int = 24
    """Encoder layers; the decoder has as many."""
    vocabulary: int = 32_128
    vision: int = 985_952_256
    """EVA-CLIP ViT-g/14 as BLIP-2 ships it (39 layers)."""
    qformer: int = 105_162_240
    """BERT-base with cross-attention in every second layer, plus 32 queries."""
    queries: int = 32

    @property
    def attention(self) -> int:
        """One projection (q, k, v or o) of one attention."""
        return self.width * self.heads * self.head_width

    @property
    def language(self) -> int:
        """FLAN-T5: 3 attentions a layer pair, gated feed-forward, untied head."""
        attention = 3 * self.layers * 4 * self.attention
        feed_forward = 2 * self.layers * 3 * self.width * self.feed_forward
        norms = (5 * self.layers + 2) * self.width
        biases = 2 * 32 * self.heads
        return attention + feed_forward + norms + biases + 2 * self.vocabulary * self.width

    @property
    def projection(self) -> int:
        """The Linear from the Q-Former's 768 to the language model's width."""
        return (768 + 1) * self.width

    def trained(self, recipe: str, rank: int | None = None) -> int:
        """Weights that learn in stage II under a `trainable_attention` recipe, or its adapters."""
        projections = {"design": 6, "paper": 6, "released": 2, "all": 9}[recipe]
        inner = self.heads * self.head_width
        each = self.attention if rank is None else rank * (self.width + inner)
        return self.projection + projections * self.layers * each


ARCHITECTURES = {
    "flan-t5-xl": Architecture(width=2048, feed_forward=5120, heads=32),
    "flan-t5-xxl": Architecture(width=4096, feed_forward=10240, heads=64),
}


@dataclass(frozen=True)
class Estimate:
    """GPU memory per device, main memory and disk in GiB, hours per stage.

    The evaluation has as many GPUs, if there are as many benchmarks, each of `evaluation_memory`.
    """

    weights: int
    trained: int
    gpu_memory: float
    main_memory: float
    disk: float
    pretrain_hours: float
    finetune_hours: float
    evaluate_hours: float
    evaluation_memory: float
    requests: int
    gpus: int


def find_architecture(base: str) -> Architecture:
    """The sizes behind a base's name.

    Raises:
        UserError: No architecture of that name is known.
    """
    for name in sorted(ARCHITECTURES, key=len, reverse=True):
        if base.endswith(name):
            return ARCHITECTURES[name]
    raise UserError(
        "no estimate for this base", where=base, remedy=f"known: {', '.join(ARCHITECTURES)}"
    )


def estimate(config: Config) -> Estimate:
    """Estimate what a profile's two training stages and its evaluation need.

    ZeRO stage 1 and up shards the optimizer over the processes, stage 2 and up the gradients, stage
    3 the weights. Operations: 2 per weight and token forward, 2 more backward where a gradient only
    passes through, 4 where the weight itself learns.
    """
    shape = find_architecture(config.model.base)
    weights = shape.vision + shape.qformer + shape.projection + shape.language
    lora = config.finetune.lora
    trained = shape.trained(config.finetune.trainable_attention, lora.rank if lora else None)
    trained += MAX_PROXIES * shape.width * config.finetune.train_proxies
    gpus, zero = config.launch.processes, config.launch.zero_stage
    precision = config.evaluate.precision
    tokens = TEXT_TOKENS_PER_SAMPLE + IMAGES_PER_SAMPLE * shape.queries
    together = min(config.launch.micro_batch * tokens, config.launch.micro_tokens)
    # With activation checkpoints a layer keeps its input; one layer's intermediates live at a time.
    activations = together * shape.width * 2 * (2 * shape.layers + 24)
    memory = (
        2 * weights / (gpus if zero >= 3 else 1)
        + 2 * trained / (gpus if zero >= 2 else 1)
        + OPTIMIZER_BYTES * trained / (gpus if zero >= 1 else 1)
        + activations
    )
    quota = sum(it for it in _list_quotas(config) if isinstance(it, int))
    feature_bytes = shape.queries * 768 * 2
    requests, operations, pictures = _evaluate(config, shape)
    disk = (
        quota * (STORED_IMAGE_BYTES + feature_bytes)
        + pictures * (STORED_IMAGE_BYTES + 2 * feature_bytes)  # in float32
        + 4 * weights  # the base and the export, 2 bytes a weight each
        + config.launch.keep_checkpoints * (2 + OPTIMIZER_BYTES) * trained
    )
    return Estimate(
        weights=weights,
        trained=trained,
        gpu_memory=memory / GIB,
        main_memory=LOADING_BYTES * weights * gpus / GIB,
        disk=disk / GIB,
        pretrain_hours=_hours(
            config.pretrain.steps * config.pretrain.global_batch,
            2 * shape.vision * 257
            + 6 * shape.qformer * shape.queries
            + 4 * shape.language / 2 * (shape.queries + 2 * TARGET_TOKENS_PER_SAMPLE),
            gpus,
        ),
        finetune_hours=_hours(
            config.finetune.steps * config.finetune.global_batch,
            (4 * shape.language / 2 + 2 * trained / 2) * (tokens + TARGET_TOKENS_PER_SAMPLE),
            gpus,
        ),
        evaluate_hours=max(operations) / (EVALUATION_TFLOPS[precision] * 1e12 * UTILISATION) / 3600,
        evaluation_memory=WEIGHT_BYTES[precision] * weights / GIB,
        requests=requests,
        gpus=gpus,
    )


def order_benchmarks(config: Config) -> list[str]:
    """The entries of the evaluation, those that take longest first.

    Processes that take one after the other off this list end at about the same time.
    """
    queries = ARCHITECTURES["flan-t5-xl"].queries  # as of all; for an order of others it will do
    tokens = {name: _ask(config, name, queries)[1] for name in config.evaluate.benchmarks}
    return sorted(tokens, key=lambda name: (-tokens[name], name))


def _evaluate(config: Config, shape: Architecture) -> tuple[int, list[float], int]:
    """Requests, operations of each GPU, and pictures of the evaluation.

    A picture goes through the encoder once, those of worked examples not counted.
    """
    pictures: dict[str, int] = {}
    requests, gpus = 0, [0.0] * config.launch.processes
    for name in order_benchmarks(config):
        dataset = config.evaluate.benchmarks[name].dataset
        number, tokens, own = _ask(config, name, shape.queries)
        new = max(0, own - pictures.get(dataset, 0))
        pictures[dataset] = pictures.get(dataset, 0) + new
        requests += number
        gpus[gpus.index(min(gpus))] += tokens * 2 * shape.language / 2 + new * (
            2 * shape.vision * 257 + 2 * shape.qformer * shape.queries
        )
    return requests, gpus, sum(pictures.values())


def _ask(config: Config, name: str, queries: int) -> tuple[int, float, int]:
    """Requests, their tokens and pictures of one entry, its limit taken as reached.

    Every control that asks the model asks all once more, every further draw of worked examples too.
    """
    evaluate = config.evaluate
    wanted = evaluate.benchmarks[name]
    asked = ASKED.get(name.partition("-")[0], Asked())
    passes = 1 + len(evaluate.controls) + (evaluate.exemplar_draws - 1) * (wanted.shots > 0)
    requests = passes * wanted.limit * asked.requests
    prompt = _count_prompt(config, wanted, asked, queries)
    tokens = requests * (prompt + asked.candidates * TARGET_TOKENS_PER_SAMPLE)
    return requests, tokens, wanted.limit * asked.pictures


def _count_prompt(config: Config, wanted: Benchmark, asked: Asked, queries: int) -> float:
    """Tokens of a prompt, worked examples included."""
    images = config.datasets[wanted.dataset].frames or asked.images
    tokens = (1 + wanted.shots) * (images * queries + TEXT_TOKENS_PER_QUESTION)
    return min(tokens, config.evaluate.max_tokens or tokens)


def describe(config: Config) -> dict[str, str]:
    """The estimate in words, with the assumptions behind the figures, in the order of a table.

    Raises:
        UserError: As `find_architecture`.
    """
    needs, precision = estimate(config), config.evaluate.precision
    shares = not all(isinstance(it, int) for it in _list_quotas(config))
    return {
        "weights": f"{needs.weights / 1e9:.2f} billion",
        "learning in stage II": f"{needs.trained / 1e9:.2f} billion",
        "GPUs": f"{needs.gpus}, each with at least {needs.gpu_memory:.0f} GiB",
        "main memory": f"{needs.main_memory:.0f} GiB, while {needs.gpus} processes load the model",
        "disk": f"{needs.disk:.0f} GiB"
        + (", without the samples of quotas that are shares" if shares else ""),
        "stage I": f"{needs.pretrain_hours:.1f} hours",
        "stage II": f"{needs.finetune_hours:.1f} hours",
        "evaluation": f"{needs.evaluate_hours:.1f} hours for {needs.requests:,} prompts, "
        f"on GPUs with at least {needs.evaluation_memory:.0f} GiB, a benchmark each at a time",
        "assumed": f"{GPU_TFLOPS:.0f} TFLOP/s a GPU at {UTILISATION:.0%}, "
        f"{IMAGES_PER_SAMPLE:.0f} images and {TEXT_TOKENS_PER_SAMPLE:.0f} text tokens a sample, "
        f"activation checkpoints; in evaluation {EVALUATION_TFLOPS[precision]:.0f} TFLOP/s "
        f"({precision}) and {TEXT_TOKENS_PER_QUESTION:.0f} text tokens a question",
    }


def _list_quotas(config: Config) -> list[Quota]:
    return [*config.build.pretrain.values(), *config.build.finetune.values()]


def _hours(samples: int, operations_per_sample: float, gpus: int) -> float:
    return samples * operations_per_sample / (GPU_TFLOPS * 1e12 * UTILISATION * gpus) / 3600
