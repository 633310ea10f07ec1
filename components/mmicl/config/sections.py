"""The shapes of params.yaml: a key's meaning stands at its field."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Base of all sections: unknown keys and wrong types are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Dataset(Section):
    """One dataset: where its official files come from, and who reads them."""

    reader: str
    """A name of `mmicl.sources`, such as coco_caption or vqav2."""
    source: str
    """A URI of `mmicl.fetch.uri` (world, folder, alias, https, s3, hf), or several."""
    licence: str
    max_quarantined: Share
    """Share of records that may be unreadable before the stage fails."""
    resplit: dict[Literal["train", "val", "test"], Share] | None
    """null keeps the official splits; shares (sum 1) deal whole groups out by hash of the group."""
    pictures: Annotated[str, Field(pattern=r"^(raw|images)/[^/]+$")]
    """Where they lie below data/, as its ingest depends on it: raw/ITSELF, or images/OTHER for what
    another dataset has stored of the same collection, and this one need not store again."""
    files: dict[str, str]
    """Role -> path within the source, for official files that are named otherwise (docs/datasets.md
    lists the roles)."""
    frames: Positive | None
    """Of each video, at duration * i / (frames + 1); null takes the reader's own number, 8, and is
    all that a dataset without videos may have."""

    @property
    def lender(self) -> str | None:
        """The dataset whose pictures are borrowed."""
        folder, name = self.pictures.split("/")
        return name if folder == "images" else None


class Prices(Section):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


class Augment(Section):
    """Instruction augmentation through an OpenAI-compatible endpoint.

    The credential comes from OPENAI_API_KEY alone; an address with one in it is refused.
    """

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$")] | None
    """Address before /chat/completions; null uses the bank at hand, without any traffic."""
    model: str
    terms: str
    """Licence of what the model writes, recorded with each paraphrase."""
    paraphrases: Annotated[int, Field(ge=1, le=50)]
    """To ask for, per template written by hand."""
    temperature: Annotated[float, Field(ge=0, le=2)]
    budget: Annotated[float, Field(ge=0)]
    """US dollars for all answers together, those in the cache included."""
    prices: Prices
    concurrency: Annotated[int, Field(ge=1, le=64)]
    """Requests at one time."""
    retries: Annotated[int, Field(ge=0, le=20)]
    timeout: Annotated[float, Field(gt=0)]
    """Seconds without a sign of the server, after which a try counts as failed."""
    require_review: bool
    """Paraphrases that nobody accepted (`mmicl bank`) stay out of the bank."""


class Scheme(Section):
    """The context scheme's switches (paper section 2.2; the ablations turn them off)."""

    declaration: bool
    """Declare every image by its proxy: `image 0 is <image0>…`."""
    in_context: bool
    """Precede the query with worked examples."""
    interrelated: bool
    """Give the images that belong together (objects, frames) as separate images."""
    tags: bool
    """Set each image's tokens between `[image]` and `[/image]`, to tell image from text (ours)."""


def _check_quota(value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if whole or (isinstance(value, float) and 0 < value < 1):
        return value
    message = "input should be a whole number of samples, or a share between 0 and 1"
    raise PydanticCustomError("quota", message)  # type: ignore[arg-type]


Quota = Annotated[int | float, BeforeValidator(_check_quota)]
"""A whole number of samples at the most (the released code's way), or a share of all that a dataset
gives (the paper's: 10 %)."""


class Build(Section):
    """MIC data from examples: how much of each dataset, and in which form."""

    pretrain: dict[str, Quota]
    finetune: dict[str, Quota]
    held_out: list[str]
    """Datasets, by name or by reader, that are never trained on: neither of the two above may name
    one (the released mix trains on IconQA, which the paper reports as held out)."""
    validation: Count
    """Samples held out of the val split, per dataset of `finetune`, and of `pretrain` where
    `pretrain.validation` asks for them."""
    max_images: Annotated[int, Field(ge=1, le=20)]
    """Of a prompt: beyond it exemplars are left out."""
    max_tokens: Positive | None
    """Likewise the tokens of a prompt by the model's own tokenizer, images included and target not;
    null sets no limit. A query that is too long by itself is left out and counted, never cut."""
    max_exemplars: Count
    scheme: Scheme


class Validate(Section):
    """Bars of the data gate."""

    max_majority_answer: Share
    min_samples: Positive


class Model(Section):
    """The starting point."""

    base: str
    """`builtin:tiny`, a local folder in the hub's layout, or a hub id."""
    revision: str | None
    """Commit of a hub id; null for local folders."""
    instruct_qformer: bool
    """Whether the Q-Former reads the instruction, InstructBLIP's own protocol, which needs its
    weights and no stage I; released MMICL does without, also with these weights."""


class Training(Section):
    """One training stage. Steps are optimizer steps over global batches."""

    steps: Count
    """0 trains nothing, and hands the starting weights on."""
    global_batch: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_ratio: Share
    schedule: Literal["constant", "cosine", "linear"]
    clip_norm: Annotated[float, Field(gt=0)]
    precision: Literal["fp32", "bf16"]
    max_target_tokens: Positive
    max_skipped: Count
    """Steps in a row that may be skipped because their loss or gradient is not finite; 0 stops at
    the first."""


class Validation(Section):
    """The loss over the samples held out, and what follows from it."""

    every: Positive
    """Steps between two validations; there is one after the last step as well."""
    patience: Positive | None
    """Validations in a row without a lower loss, after which the stage ends; null never ends it."""
    keep: Literal["last", "best"]
    """The weights that the stage hands on: the last, or those of the lowest loss."""


class Pretrain(Training):
    """Stage I."""

    contrastive: Annotated[float, Field(ge=0)]
    """Weight beside the caption loss of an image's choice of its caption among the batch's (ours,
    after BLIP-2; 0 is the paper's stage I)."""
    validation: Validation | None
    """Over pairs that `build` then holds out of the val split; null for neither."""


class Lora(Section):
    """Adapters of a rank (arXiv 2106.09685); what they add is scaled by alpha / rank."""

    rank: Positive
    alpha: Annotated[float, Field(gt=0)]


class Finetune(Training):
    """Stage II."""

    trainable_attention: Literal["design", "paper", "released", "all"]
    """T5 attention projections that learn: k,v | q,v | self-attention q | q,k,v."""
    lora: Lora | None
    """Train adapters beside these projections instead of the projections."""
    train_proxies: bool
    """Let the embeddings of `<image0>` to `<image19>` learn as well (ours): in MMICL they are rows
    of T5's frozen table that nobody ever trained."""
    validation: Validation


class Features(Section):
    """The cache of frozen Q-Former outputs."""

    precision: Literal["fp32", "bf16"]


class Benchmark(Section):
    """One benchmark: which dataset's test split, and how much of it."""

    dataset: str
    limit: Positive
    """Items at the most, taken in order of a seeded shuffle."""
    shots: Count


Control = Literal["blank", "shuffled", "text_only"]
"""Every picture grey; pictures of other items; prompts without images and declarations."""


class Evaluate(Section):
    """The benchmarks by name of `mmicl.benchmarks`, or `name-variant` (vqav2-4shot)."""

    benchmarks: dict[str, Benchmark]
    exemplar_draws: Positive
    """Draws of the worked examples of benchmarks with shots: mean and deviation over them."""
    max_images: Annotated[int, Field(ge=1, le=20)]
    """Of a prompt, as `build.max_images` is of training's. It may be more: what bounds training is
    memory, while a benchmark's own images and all its shots should be there (a problem of
    Bongard-HOI has 13 images)."""
    max_tokens: Positive | None
    """Likewise, as `build.max_tokens`."""
    controls: list[Control]
    """Those that ask the model again; chance and the majority answer are always there."""
    bootstrap: Positive
    """Resamples of groups for the 95 % interval."""
    in_context: bool
    """Whether prompts may hold worked examples; off, there are none whatever `shots` says, not even
    an episode's own, while training had them (`build.scheme.in_context` is off for both)."""
    max_new_tokens: Positive
    precision: Literal["fp32", "bf16"]
    """Of the model while it is asked. In fp32 the rest of a batch decides nothing; in bf16, which
    is several times faster on a GPU, it may turn an answer that was close."""


class Register(Section):
    """The gate before `champion`."""

    name: str
    margins: dict[str, float]
    """benchmark.metric -> points that the lower bound must lie above the best control."""


class Launch(Section):
    """Hardware. Changing it reruns nothing and changes no result beyond rounding."""

    kind: Literal["local"]
    processes: Positive
    threads: Positive
    micro_batch: Positive
    """Samples that go through the model together, at the most."""
    micro_tokens: Positive
    """Their prompt tokens, padding and images included, at the most."""
    activation_checkpointing: bool
    """Keep a layer's input alone, and compute the layer again on the way back: less memory, about
    a third more operations."""
    zero_stage: Annotated[int, Field(ge=0, le=3)]
    offload: Literal["none", "optimizer", "parameters"]
    """What lies in main memory instead of the GPU's: the optimizer's state (ZeRO 1 and up), or the
    weights as well (ZeRO 3)."""
    workers: Positive
    """Processes that ingest and build, threads that decode pictures and make batches ahead."""
    spread: Literal["processes", "ray"]
    """Where `ingest` and `build` work: in so many processes of this machine, or on every processor
    of the Ray cluster that runs (`ray start`)."""
    variants: Positive
    """Of an ablation at a time. Each runs as many processes as `processes` says; two on one machine
    use what one leaves idle between and beside its stages."""
    checkpoint_every: Positive
    keep_checkpoints: Positive
    evaluation_batch: Positive
    peak_tflops: Annotated[float, Field(gt=0)] | None
    """Of one process's device, in the stage's precision: what MFU is a share of; null leaves MFU
    out."""
    profile_steps: Annotated[list[Positive], Field(min_length=2, max_length=2)] | None
    """First step (from 1) and number of steps that torch's profiler traces, on the first rank."""


class Claim(Section):
    """Something the paper says a variant gains over another, and where to look for it."""

    text: str
    """In words, with the paper's section or table."""
    better: str
    worse: str
    """Names of `ablation.variants`."""
    metrics: list[str]
    """benchmark.metric, each a mean over items."""
    published: dict[str, float] = {}
    """Metric -> better minus worse in the paper, in points, where it is printed there."""


class Ablation(Section):
    """The grid of the paper's ablations, fixed before anyone looks. No stage depends on it."""

    seeds: list[Count]
    common: list[str]
    """`key=value` over this configuration for every variant (what the grid need not measure)."""
    variants: Annotated[dict[str, list[str]], Field(min_length=1)]
    """Name -> `key=value` over that, each. The first is what the others are held against."""
    claims: list[Claim]


class Config(Section):
    """The complete configuration of a checkout."""

    profile: str
    seed: Count
    datasets: dict[str, Dataset]
    augment: Augment
    build: Build
    validate_: Validate = Field(alias="validate")
    model: Model
    pretrain: Pretrain
    features: Features
    finetune: Finetune
    evaluate: Evaluate
    register_: Register = Field(alias="register")
    ablation: Ablation
    launch: Launch
