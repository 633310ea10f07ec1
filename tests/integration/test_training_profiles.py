"""The big profiles as they are, cut to one layer a tower and a handful of records.

Widths, token ids, ZeRO, micro-batches, recomputation and optimizer are those of the real thing. A
processor without matrix products in bfloat16 takes minutes for one on the way back: there the real
widths train in float32, and bfloat16 at an eighth of them.
"""

import importlib
import json
import math
import re
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from safetensors import safe_open
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    PreTrainedTokenizerFast,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from mmicl.benchmarks.predictions import Answered
from mmicl.config import check_config
from mmicl.files import read_json, read_rows
from mmicl.model.features import FeatureStore
from mmicl.model.loading import load_processor
from mmicl.model.processor import MmiclProcessor
from mmicl.model.tiny import CORPUS, read_corpus
from mmicl.paths import Paths
from mmicl.records import PLACEHOLDER, Sample
from mmicl.stages import StageContext
from mmicl.train.meters import read_curve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROFILES = Path(__file__).resolve().parents[2] / "profiles"
ROWS, TOKENS = 32_128, 32_100
"""Of FLAN-T5: rows of its embedding table, tokens of its tokenizer."""
VISION = {"num_hidden_layers": 1}
QFORMER = {"num_hidden_layers": 1}
TEXT = {
    "model_type": "t5", "d_kv": 64, "num_layers": 1, "num_decoder_layers": 1, "vocab_size": ROWS,
    "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "decoder_start_token_id": 0,
}  # fmt: skip
HAS_BF16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
WIDTHS = {
    "narrow": {"d_model": 256, "d_ff": 640, "num_heads": 4},
    "xl": {"d_model": 2048, "d_ff": 5120, "num_heads": 32},
}
"""google/flan-t5-xl; the other widths are transformers' defaults, which are BLIP-2's."""
SOURCES = {
    "coco": "world://coco?n=6&seed=1&test=2",
    "nlvr2": "world://nlvr2?n=6&seed=4&test=2",
}


def write_base(folder: Path, kind: str, size: str) -> None:
    """A hub folder of one layer a tower, with random weights in bfloat16."""
    shapes: dict[str, Any] = {
        "vision_config": VISION,
        "text_config": TEXT | WIDTHS[size],
        "num_query_tokens": 32,
        "image_token_index": TOKENS,
    }
    with torch.device("meta"):
        if kind == "blip2":
            model: Any = Blip2ForConditionalGeneration(
                Blip2Config(qformer_config=QFORMER, **shapes)
            )
        else:
            qformer = QFORMER | {"vocab_size": 30_523}
            model = InstructBlipForConditionalGeneration(
                InstructBlipConfig(qformer_config=qformer, **shapes)
            )
    model.bfloat16().to_empty(device="cpu")
    model.tie_weights()
    head = model.language_model.lm_head
    head.weight = torch.nn.Parameter(torch.empty_like(head.weight))  # FLAN-T5 has its own
    torch.manual_seed(0)
    for value in model.parameters():
        if value.ndim == 1:
            torch.nn.init.constant_(value, 1.0)
        else:
            torch.nn.init.normal_(value, std=0.02)
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["tie_word_embeddings"] = False
    (folder / "config.json").write_text(json.dumps(config))
    build_tokenizer().save_pretrained(folder)
    if kind == "instruct":
        build_qformer_tokenizer().save_pretrained(folder / "qformer_tokenizer")
    BlipImageProcessorPil(size={"height": 224, "width": 224}).save_pretrained(folder)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """As many tokens as FLAN-T5's: the words of the world, characters, names that no text has."""
    known = {f"▁{word}" for line in read_corpus(CORPUS) for word in re.findall(r"[A-Za-z]+", line)}
    marks = ["▁", *map(chr, range(33, 127))]
    fill = (f"▁never{number}" for number in range(TOKENS))
    words = ["<pad>", "</s>", "<unk>", *marks, *sorted(known), *fill][: TOKENS - 100]
    tokenizer = Tokenizer(models.Unigram([(word, -1.0) for word in words], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair=None, special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=[f"<extra_id_{number}>" for number in reversed(range(100))],
    )


def build_qformer_tokenizer() -> PreTrainedTokenizerFast:
    """The words of the world, split as BERT does it."""
    known = {word.lower() for line in read_corpus(CORPUS) for word in re.findall(r"\w+", line)}
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(known)]
    tokenizer = Tokenizer(models.WordPiece(
        {word: number for number, word in enumerate(words)}, unk_token="[UNK]"
    ))  # fmt: skip
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")


def cut(profile: str, base: Path, *, narrow: bool) -> dict[str, Any]:
    """A profile's params with another base, small quotas, and as many processes as fit here."""
    params = YAML(typ="safe").load(PROFILES / f"{profile}.yaml")
    params["model"]["base"] = str(base)
    params["datasets"] = {
        name: {**params["datasets"][name], "source": source} for name, source in SOURCES.items()
    }
    params["build"] |= {
        "pretrain": {"coco": 4},
        "finetune": {"coco": 2, "nlvr2": 2},
        "validation": 1,
        "max_exemplars": 0,
        "max_images": 2,  # those of a pair; benchmarks have a budget of their own
    }
    params["pretrain"] |= {"steps": 2, "global_batch": 2}
    params["finetune"] |= {"steps": 2, "global_batch": 2}
    benchmark = params["evaluate"]["benchmarks"]["nlvr2"]
    benchmark |= {"limit": 4, "shots": 1}
    params["validate"]["min_samples"] = 4
    params["evaluate"] |= {"benchmarks": {"nlvr2": benchmark}, "exemplar_draws": 1}
    if not (narrow or HAS_BF16):
        for stage in ("pretrain", "finetune"):
            params[stage]["precision"] = "fp32"
    processes = 1 if narrow else 2
    params["launch"] |= {"processes": processes, "threads": processes}
    return params


def run_chain(paths: Paths, params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Run the stages from fetch to evaluate; returns each one's facts."""
    YAML().dump(params, paths.root / "params.yaml")
    config = check_config(params, "params.yaml")
    facts = {}
    members = [f"{stage}@{name}" for name in SOURCES for stage in ("fetch", "ingest")]
    trainings = ("pretrain", "features", "finetune")
    for stage in (*members, "augment", "build", "validate", *trainings, "evaluate"):
        group, _, item = stage.partition("@")
        context = StageContext(stage, item or None, config, paths, "0" * 40)
        importlib.import_module(f"mmicl.stages.{group}").run(context)
        facts[stage] = context.facts
    return facts


@pytest.mark.parametrize(
    ("profile", "size"),
    [
        ("flan-t5-xl", "xl"),
        ("flan-t5-xxl", "narrow"),
        ("instruct-flan-t5-xxl", "narrow"),
    ],
)
def test_a_big_profile_runs_the_chain_at_one_layer_a_tower(
    tmp_path: Path, profile: str, size: str
) -> None:
    base, paths = tmp_path / "base", Paths(tmp_path, tmp_path / ".mmicl")
    write_base(base, "instruct" if "instruct" in profile else "blip2", size)
    processor = MmiclProcessor.from_pretrained(base)
    proxies = [PLACEHOLDER, *(f"<image{number}>" for number in range(20))]
    ids = processor.tokenizer.convert_tokens_to_ids(proxies)
    assert ids == list(range(TOKENS, TOKENS + 21))

    facts = run_chain(paths, cut(profile, base, narrow=size == "narrow"))
    width, heads = WIDTHS[size]["d_model"], WIDTHS[size]["num_heads"]
    # keys and values of three attentions, and the projection
    assert facts["finetune"]["parameters"] == 6 * width * heads * 64 + (768 + 1) * width
    assert read_json(paths.features)["shape"] == [32, 768]
    assert read_json(paths.features)["precision"] == "bf16"
    for stage, out in (("pretrain", paths.pretrained), ("finetune", paths.finetuned)):
        losses = [row.loss for row in read_curve(paths.curve(stage))]
        assert len(losses) == 2 and all(map(math.isfinite, losses))
        assert facts[stage]["skipped_steps"] == 0
        with safe_open(out / "trained.safetensors", framework="pt") as opened:
            assert all(torch.isfinite(opened.get_tensor(name)).all() for name in opened.keys())  # noqa: SIM118
    assert math.isfinite(facts["finetune"]["validation_loss"])
    scores = json.loads(paths.scores.read_text())
    assert 0 <= scores["benchmarks"]["nlvr2"]["metrics"]["accuracy"]["value"] <= 100
    asked = read_rows(paths.predictions / "nlvr2.parquet", Answered)
    assert {len(row.images) for row in asked if row.control == ""} == {4}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    assert peak < 8, f"a rank took {peak:.1f} GiB"


def test_instructblip_reads_the_instruction_along_the_chain(tmp_path: Path) -> None:
    """The fourth profile, by the protocol that its base was trained with."""
    base, paths = tmp_path / "base", Paths(tmp_path, tmp_path / ".mmicl")
    write_base(base, "instruct", "narrow")
    params = cut("instruct-flan-t5-xl", base, narrow=True)
    params["model"]["instruct_qformer"] = True
    params["pretrain"]["steps"] = 0
    facts = run_chain(paths, params)
    tables = [paths.mic / "finetune.parquet", paths.mic / "val.parquet"]
    samples = [row for table in tables for row in read_rows(table, Sample)]
    processor = load_processor(str(base), instruct=True)
    views = {view for row in samples for view in processor.views(row.prompt, row.images)}
    assert facts["features"]["images"] == len(views)
    key = read_json(paths.features)["key"]
    store = FeatureStore(paths.cache("features") / key, key, "bf16")
    assert all(view.key in store and view.image not in store for view in views)
    assert len(read_curve(paths.curve("finetune"))) == 2
    with safe_open(paths.pretrained / "trained.safetensors", framework="pt") as opened:
        assert "qformer.embeddings.word_embeddings.weight" in opened.keys()  # noqa: SIM118
    scores = json.loads(paths.scores.read_text())
    assert 0 <= scores["benchmarks"]["nlvr2"]["metrics"]["accuracy"]["value"] <= 100
