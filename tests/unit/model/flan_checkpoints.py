"""Checkpoints in exactly the published layout, with tiny dimensions and random weights."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
)

from mmicl.model.loading import locate_base

BUILTIN = Path(locate_base("builtin:tiny"))
ROWS = 32_128
"""Of FLAN-T5's embedding table; its tokenizer has 32,100 tokens."""
QFORMER_ROWS = 30_523
"""BERT's 30,522 and [DEC]."""
VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 64, "patch_size": 32,
}  # fmt: skip
QFORMER = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "encoder_hidden_size": 16, "max_position_embeddings": 32, "cross_attention_frequency": 2,
}  # fmt: skip
TEXT = {
    "model_type": "t5", "d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 1, "num_heads": 2,
    "vocab_size": ROWS, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
    "decoder_start_token_id": 0, "dropout_rate": 0.1,
}  # fmt: skip


def make_model(kind: str) -> Any:
    """A random model of the class and config that Salesforce's checkpoints have."""
    shapes = {"vision_config": VISION, "text_config": TEXT, "num_query_tokens": 4}
    shapes["image_token_index"] = 32_100
    torch.manual_seed(0)
    if kind == "blip-2":
        model: Any = Blip2ForConditionalGeneration(Blip2Config(qformer_config=QFORMER, **shapes))
    else:
        qformer = QFORMER | {"vocab_size": QFORMER_ROWS}
        model = InstructBlipForConditionalGeneration(
            InstructBlipConfig(qformer_config=qformer, **shapes)
        )
    torch.nn.init.normal_(model.query_tokens)
    head = model.language_model.lm_head
    head.weight = torch.nn.Parameter(torch.randn_like(head.weight))  # FLAN-T5 has its own
    return model.eval()


def write_checkpoint(model: Any, folder: Path, form: str = "safetensors") -> Path:
    """Write a checkpoint with tokenizer and preprocessor.

    Args:
        model: From `make_model`.
        folder: Where to.
        form: `safetensors`, `shards`, or `bin`: shards by `torch.save`, as an older transformers
            wrote them, with its counters.
    """
    model.save_pretrained(folder, max_shard_size="2MB" if form == "shards" else "1GB")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"].pop("scale_decoder_outputs", None)  # the hub's files have the old key
    config["text_config"]["tie_word_embeddings"] = False
    (folder / "config.json").write_text(json.dumps(config))
    if form == "bin":
        (folder / "model.safetensors").unlink()
        weights = dict(model.state_dict())
        weights["qformer.embeddings.position_ids"] = torch.arange(32).expand(1, -1)
        write_bin(weights, folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(BUILTIN / name, folder / name)
    return folder


def write_bin(weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Two shards and their index."""
    names = list(weights)
    places = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({name: weights[name].clone() for name in part}, folder / file)
        places |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
