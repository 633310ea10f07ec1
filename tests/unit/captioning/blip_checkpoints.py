"""BLIP checkpoints in the hub's layout, with tiny dimensions, random weights and few words."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

WORDS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "picture", "of", "on", "in"),
    *("with", "and", "red", "green", "blue", "small", "large", "dog", "cat", "horse", "boat"),
    *("tree", "house", "street", "beach", "man", "woman", "child", "ball", "car", "bird", "fish"),
    *("two", "three", "run", "sit", "look", "##s", "##ing", "##er", "##ed"),
]
START = len(WORDS)
"""[DEC], which BLIP puts behind BERT's vocabulary; [ENC] comes after it."""
SIDE = 16
"""Pixels a side of what the models see."""


def make_model(model_class: Any, seed: int) -> Any:
    """A random model of the config that Salesforce's checkpoints have, and a strong opinion."""
    config = BlipConfig(
        text_config={
            "vocab_size": len(WORDS) + 2, "hidden_size": 16, "intermediate_size": 32,
            "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 40,
            "bos_token_id": START, "sep_token_id": WORDS.index("[SEP]"), "pad_token_id": 0,
        },
        vision_config={
            "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8,
        },
        image_text_hidden_size=8,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = model_class(config)
    for name, parameter in model.named_parameters():
        if "LayerNorm" not in name and "layernorm" not in name and "layer_norm" not in name:
            torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


def write_checkpoint(model: Any, folder: Path) -> Path:
    """Weights, tokenizer and image processor, each by its own save_pretrained."""
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def write_captioner(folder: Path, seed: int = 1) -> Path:
    return write_checkpoint(make_model(BlipForConditionalGeneration, seed), folder)


def write_matcher(folder: Path, seed: int = 2) -> Path:
    return write_checkpoint(make_model(BlipForImageTextRetrieval, seed), folder)
