"""Models of the published shapes with random weights, made on the device within seconds."""

from typing import Any

import torch
from torch import nn

from mmicl.model.fused import fuse_activations
from mmicl.model.loading import load_model
from mmicl.model.processor import MmiclProcessor
from mmicl.model.tiny import BACKBONES

FLAN_T5 = {
    "xl": {"d_model": 2048, "d_ff": 5120, "num_heads": 32},
    "xxl": {"d_model": 4096, "d_ff": 10240, "num_heads": 64},
}
"""Both have 24 + 24 layers, heads of 64, and 32,128 rows of embeddings."""
LAYERS = {"vision": 39, "qformer": 12, "language": 24}
QUERIES, PIXELS = 32, 224
STANDARD_DEVIATION = 0.02


def build_published(
    shape: str, device: torch.device, dtype: torch.dtype, layers: int | None = None, seed: int = 0
) -> tuple[Any, MmiclProcessor]:
    """BLIP-2 with FLAN-T5, and a processor for it with the miniature's tokenizer.

    Args:
        shape: `xl` or `xxl`.
        device: Where the weights are made.
        dtype: Of the weights.
        layers: Of every tower, to try it out; the published numbers by default.
        seed: Equal seeds give equal weights.
    """
    model = make_empty(shape, layers).to(dtype).to_empty(device=device)
    language = model.language_model
    language.encoder.embed_tokens.weight = language.shared.weight
    language.decoder.embed_tokens.weight = language.shared.weight
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.lower().endswith(("norm.weight", "norm1.weight", "norm2.weight")):
                value.fill_(1)
            elif name.endswith(".bias"):
                value.zero_()
            else:
                value.normal_(std=STANDARD_DEVIATION)
    processor = make_processor()
    model.config.image_token_index = processor.placeholder_id
    return model.eval(), processor


def make_empty(shape: str, layers: int | None = None) -> Any:
    """The model without memory for its weights; FLAN-T5's head is not tied to its embeddings."""
    from transformers import Blip2ForConditionalGeneration

    with torch.device("meta"):
        model: Any = Blip2ForConditionalGeneration(make_config(shape, layers))
        head = model.language_model.lm_head
        head.weight = nn.Parameter(torch.empty_like(head.weight))
    return model


def make_config(shape: str, layers: int | None = None) -> Any:
    """The config of Salesforce/blip2-flan-t5-xl or -xxl."""
    from transformers import Blip2Config, Blip2QFormerConfig, Blip2VisionConfig, T5Config

    numbers = {part: layers or published for part, published in LAYERS.items()}
    text = T5Config(
        vocab_size=32128,
        d_kv=64,
        num_layers=numbers["language"],
        num_decoder_layers=numbers["language"],
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,  # pyright: ignore[reportCallIssue]
        dropout_rate=0.1,
        decoder_start_token_id=0,  # pyright: ignore[reportCallIssue]
        **FLAN_T5[shape],
    )
    return Blip2Config(
        vision_config=Blip2VisionConfig(  # its other defaults are EVA-CLIP ViT-g/14
            num_hidden_layers=numbers["vision"], image_size=PIXELS
        ),
        qformer_config=Blip2QFormerConfig(num_hidden_layers=numbers["qformer"]),
        text_config=text,
        num_query_tokens=QUERIES,
    )


def make_processor() -> MmiclProcessor:
    """The miniature's tokenizer, with images and queries of the published size."""
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    images = BlipImageProcessorPil(size={"height": PIXELS, "width": PIXELS})
    tokenizer = MmiclProcessor.from_pretrained(BACKBONES / "tiny").tokenizer
    return MmiclProcessor(tokenizer, images, QUERIES)


def build_ours(
    profile: str, device: torch.device, dtype: torch.dtype, layers: int | None
) -> tuple[Any, MmiclProcessor]:
    """The model as the product loads it, without what it does on a GPU alone."""
    if profile == "tiny":
        return load_model("builtin:tiny")
    model, processor = build_published(profile, device, dtype, layers)
    fuse_activations(model)
    return model, processor


def build_reference(
    profile: str, device: torch.device, dtype: torch.dtype, layers: int | None
) -> Any:
    """The same weights in transformers' own modules, with attention written out."""
    if profile == "tiny":
        from transformers import Blip2ForConditionalGeneration

        model: Any = Blip2ForConditionalGeneration.from_pretrained(
            BACKBONES / "tiny", dtype=torch.float32
        )
        model.config.image_token_index = load_model("builtin:tiny")[1].placeholder_id
    else:
        model, _ = build_published(profile, device, dtype, layers)
    model.set_attn_implementation("eager")
    return model.eval()
