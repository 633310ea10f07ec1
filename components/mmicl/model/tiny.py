"""The miniature starting point: a small BLIP-2 and its tokenizer, in the hub's layout.

`python -m mmicl.model.tiny --out FOLDER --seed 0` writes the folder that `builtin:tiny` names, with
seeded random weights; training scripts replace the weights and leave the rest.
"""

import argparse
import copy
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mmicl.errors import DataError
from mmicl.files import replace_folder
from mmicl.records import MAX_PROXIES, PLACEHOLDER, proxy

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        PreTrainedTokenizerBase,
    )

BACKBONES = Path(__file__).parent / "backbones"
CORPUS = BACKBONES / "tiny_corpus.txt"
VOCABULARY = 2048
IMAGE_SIZE = 64
QUERIES = 4
WIDTH = 128
PAD, EOS, UNKNOWN = "<pad>", "</s>", "<unk>"
SPECIAL_TOKENS = [PAD, EOS, UNKNOWN, PLACEHOLDER, *(proxy(index) for index in range(MAX_PROXIES))]
_BYTES = [f"<0x{value:02X}>" for value in range(256)]


def build_tokenizer(corpus: Iterable[str], size: int = VOCABULARY) -> "PreTrainedTokenizerBase":
    """Train the tokenizer: BPE over words with a byte fallback, so that no text is unknown.

    A text comes back unchanged from encoding and decoding, but for one space at its very start
    and the character U+2581, which stands for the space (as in SentencePiece).

    Args:
        corpus: Lines of text; frequent words become one token each.
        size: Tokens at the most, special ones (pad 0, end 1, unknown 2, placeholder 3, proxies
            from 4) and the 256 bytes included.

    Returns:
        A transformers tokenizer that ends every text with the end token and pads to the right.
    """
    from transformers import PreTrainedTokenizerFast

    trained = _train_bpe(corpus, size - len(_BYTES))
    return PreTrainedTokenizerFast(
        tokenizer_object=_add_bytes(trained),
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        extra_special_tokens=SPECIAL_TOKENS[3:],
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )


def _train_bpe(corpus: Iterable[str], size: int) -> "Tokenizer":
    """Train plain BPE; words carry their space in front, punctuation stands alone."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    # A word at the very start gets the space too: an answer has the same token as in a sentence.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="first"),
            pre_tokenizers.Split(Regex(r"▁?[\p{L}\p{M}]+|▁?\p{N}|▁|[^\s▁]"), "isolated"),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=1, special_tokens=SPECIAL_TOKENS, show_progress=False
    )
    special = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))
    tokenizer.train_from_iterator((special.sub(" ", line) for line in corpus), trainer)
    return tokenizer


def _add_bytes(trained: "Tokenizer") -> "Tokenizer":
    """Put the 256 byte tokens behind the special ones, and decode them."""
    from tokenizers import Tokenizer, decoders, processors

    state = json.loads(trained.to_str())
    words = sorted(state["model"]["vocab"], key=state["model"]["vocab"].__getitem__)
    ordered = [*SPECIAL_TOKENS, *_BYTES, *words[len(SPECIAL_TOKENS) :]]
    state["model"]["vocab"] = {token: place for place, token in enumerate(ordered)}
    state["model"]["byte_fallback"] = True
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}", pair=None, special_tokens=[(EOS, SPECIAL_TOKENS.index(EOS))]
    )
    return tokenizer


def build_config(vocabulary: int = VOCABULARY, dropout: float = 0.0) -> "Blip2Config":
    """The shapes of the miniature: about 2.5 million weights.

    Args:
        vocabulary: Rows of the embedding table.
        dropout: Of the Q-Former and the language model. 0 makes a run on any number of processes
            the same up to rounding, and the miniature sees no record often enough to need more.
    """
    from transformers import Blip2Config, Blip2QFormerConfig, Blip2VisionConfig, T5Config

    vision = Blip2VisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=IMAGE_SIZE,
        patch_size=8,
        initializer_range=0.02,
    )
    qformer = Blip2QFormerConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        cross_attention_frequency=1,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    text = T5Config(
        vocab_size=vocabulary,
        d_model=WIDTH,
        d_kv=24,
        d_ff=2 * WIDTH,
        num_layers=4,
        num_decoder_layers=2,
        num_heads=6,
        dropout_rate=dropout,
        feed_forward_proj="gated-gelu",
        pad_token_id=SPECIAL_TOKENS.index(PAD),
        eos_token_id=SPECIAL_TOKENS.index(EOS),
        decoder_start_token_id=SPECIAL_TOKENS.index(PAD),  # pyright: ignore[reportCallIssue]
    )
    return Blip2Config(
        vision_config=vision,
        qformer_config=qformer,
        text_config=text,
        num_query_tokens=QUERIES,
        image_token_index=SPECIAL_TOKENS.index(PLACEHOLDER),
    )


def build_model(config: "Blip2Config", seed: int) -> "Blip2ForConditionalGeneration":
    """A model with seeded random weights, in float32.

    The queries are drawn too: transformers leaves them zero, and queries that start equal stay
    equal for ever.
    """
    import torch
    from transformers import Blip2ForConditionalGeneration

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Blip2ForConditionalGeneration(config)
        torch.nn.init.normal_(model.query_tokens, std=0.02)
    return model.eval()


def write_backbone(
    folder: Path, model: "Blip2ForConditionalGeneration", tokenizer: "PreTrainedTokenizerBase"
) -> None:
    """Write model, tokenizer and image processor as a hub folder; weights in half precision.

    `config.json` asks for float32, so that loading brings the weights back to full precision.
    """
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    images = BlipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    with replace_folder(folder) as temporary:
        copy.deepcopy(model).half().save_pretrained(temporary)
        config = json.loads((temporary / "config.json").read_text(encoding="utf-8"))
        for part in config.values():
            if isinstance(part, dict):
                part.pop("dtype", None)  # there where a model was loaded, not where it was built
        config["dtype"] = "float32"
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        (temporary / "config.json").write_text(text, encoding="utf-8")
        tokenizer.save_pretrained(temporary)
        images.save_pretrained(temporary)
        for path in temporary.iterdir():
            path.chmod(0o644)  # safetensors writes for the owner alone


def read_corpus(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        DataError: The file is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", where=path) from None


def main() -> None:
    """Write a backbone with random weights."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    options = parser.parse_args()
    tokenizer = build_tokenizer(read_corpus(options.corpus))
    write_backbone(options.out, build_model(build_config(), options.seed), tokenizer)


if __name__ == "__main__":
    main()
