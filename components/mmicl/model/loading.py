"""Models in and out: hub folders, trained parts, exports. What we write is safetensors and JSON."""

import os
import pickle  # for the name of its error alone
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mmicl.config import Lora
from mmicl.errors import DataError, UserError
from mmicl.files import hash_file, read_json, replace_file, replace_folder, write_json
from mmicl.model.checkpoint import read_checkpoint
from mmicl.model.fused import fuse_activations, fuse_for_gpu
from mmicl.model.instructblip import MODEL_TYPE as INSTRUCTBLIP
from mmicl.model.instructblip import load_instructblip
from mmicl.model.lora import (
    ROWS,
    adapted_layers,
    add_adapters,
    add_rows,
    is_adapter,
    merge_adapters,
)
from mmicl.model.processor import MmiclProcessor, reads_instructions
from mmicl.model.tiny import BACKBONES

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

BUILTIN = "builtin:"
BLIP2 = "blip-2"
WEIGHTS, RECORD = "trained.safetensors", "trained.json"


def load_model(
    base: str,
    revision: str | None = None,
    *,
    instruct: bool | None = None,
    trained: Sequence[Path] = (),
    dtype: torch.dtype = torch.float32,
) -> "tuple[Blip2ForConditionalGeneration, MmiclProcessor]":
    """Load a BLIP-2 model that takes MMICL prompts, in evaluation mode.

    Args:
        base: `builtin:tiny`, a folder in the hub's layout, or a hub id.
        revision: Commit of a hub id.
        instruct: Whether the Q-Former reads the instruction. It does what BLIP-2's does where it
            does not; otherwise the model is an InstructBLIP one, which has all that is used of a
            BLIP-2 model here. None as the folder says, which `export_model` wrote.
        trained: Folders that `save_trained` wrote; put over the base's weights in this order.
        dtype: Of the weights in memory.

    Raises:
        UserError: The base lacks files, is not BLIP-2 over a sequence-to-sequence language model,
            or cannot be had from the hub.
        DataError: A folder of trained weights is damaged or does not fit the model.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    place = locate_base(base)
    options: dict[str, Any] = {"revision": revision, "local_files_only": Path(place).is_dir()}
    instruct = reads_instructions(place) if instruct is None else instruct
    try:
        model = _load_weights(place, base, dtype, instruct, options)
    except (OSError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        raise _refuse(base, error) from None
    processor = load_processor(base, revision, instruct=instruct)
    _fit_tokens(model, processor, base)
    for parameter in model.parameters():
        # Weights mapped from a file lie at odd addresses, and matrix products round by address.
        parameter.data = parameter.data.clone()
    for folder in trained:
        load_trained(model, folder)
    fuse_activations(model)
    if torch.cuda.is_available():
        fuse_for_gpu(model)
    return model.eval(), processor


def load_processor(
    base: str, revision: str | None = None, *, instruct: bool | None = None
) -> MmiclProcessor:
    """The tokenizers and the image processor of a base, without its weights.

    Raises:
        UserError: The base lacks files, or cannot be had from the hub.
    """
    try:
        return MmiclProcessor.from_pretrained(
            locate_base(base), revision=revision, instruct=instruct
        )
    except (OSError, ValueError) as error:
        raise _refuse(base, error) from None


def _refuse(base: str, error: Exception) -> UserError:
    return UserError(
        f"cannot be loaded ({error})",
        where=base,
        remedy="model.base is builtin:tiny, a folder in the hub's layout or a hub id",
    )


def _load_weights(
    place: str, base: str, dtype: torch.dtype, instruct: bool, options: dict[str, Any]
) -> "Blip2ForConditionalGeneration":
    """The weights of a BLIP-2 or InstructBLIP checkpoint, as a BLIP-2 model."""
    from transformers import AutoConfig, Blip2ForConditionalGeneration

    options = {**options, "trust_remote_code": False}
    kind = AutoConfig.from_pretrained(place, **options).model_type
    if kind == INSTRUCTBLIP:
        return load_instructblip(place, dtype=dtype, instruct=instruct, **options)
    if kind != BLIP2:
        raise UserError(f"the model is of type {kind}, not {BLIP2} or {INSTRUCTBLIP}", where=base)
    if instruct:
        raise UserError(
            "the Q-Former of a BLIP-2 model reads no instruction",
            where=base,
            remedy="start from InstructBLIP, or set model.instruct_qformer to false",
        )
    return read_checkpoint(Blip2ForConditionalGeneration, place, dtype=dtype, **options)


def locate_base(base: str) -> str:
    """The folder behind a base, or the hub id unchanged.

    Raises:
        UserError: No such built-in model, or the folder lacks files.
    """
    if base.startswith(BUILTIN):
        folder = BACKBONES / base.removeprefix(BUILTIN)
        if not folder.is_dir():
            known = ", ".join(
                sorted(BUILTIN + path.name for path in BACKBONES.iterdir() if path.is_dir())
            )
            raise UserError("no such built-in model", where=base, remedy=f"there is {known}")
    else:
        folder = Path(base).expanduser()
        if not folder.is_dir():
            if base.startswith((".", "/", "~")) or base.count("/") != 1:
                raise UserError("no such folder", where=base, remedy="check model.base")
            return base
    _check_folder(folder)
    return str(folder)


def _check_folder(folder: Path) -> None:
    """See that a folder holds a model's files."""
    needed = {
        "config.json": ("config.json",),
        "weights (*.safetensors)": ("*.safetensors", "pytorch_model*.bin"),
        "a tokenizer (tokenizer.json or spiece.model)": ("tokenizer.json", "spiece.model"),
        "preprocessor_config.json": ("preprocessor_config.json", "processor_config.json"),
    }
    lacking = [
        what
        for what, patterns in needed.items()
        if not any(any(folder.glob(pattern)) for pattern in patterns)
    ]
    if lacking:
        raise UserError(
            f"the folder lacks {', '.join(lacking)}",
            where=folder,
            remedy="model.base wants a folder in the hub's layout; a released MMICL checkpoint "
            "takes tokenizer and preprocessor from Salesforce/instructblip-flan-t5-xl or -xxl",
        )


def _fit_tokens(
    model: "Blip2ForConditionalGeneration", processor: MmiclProcessor, base: str
) -> None:
    """Tell the model its placeholder, and see that its tables have room for all tokens."""
    config: Any = model.config
    if config.use_decoder_only_language_model:
        raise UserError(
            f"the language model ({config.text_config.model_type}) is not an encoder-decoder",
            where=base,
            remedy="use a checkpoint with FLAN-T5",
        )
    rows, tokens = config.text_config.vocab_size, len(processor.tokenizer)
    if tokens > rows:
        raise UserError(
            f"the tokenizer has {tokens} tokens, the embedding table {rows} rows", where=base
        )
    if processor.num_query_tokens != config.num_query_tokens:
        raise UserError(
            f"processor_config.json says {processor.num_query_tokens} query tokens, the model has "
            f"{config.num_query_tokens}",
            where=base,
        )
    config.image_token_index = processor.placeholder_id


def save_trained(
    model: "Blip2ForConditionalGeneration",
    folder: Path,
    names: Iterable[str],
    record: dict[str, Any] | None = None,
) -> None:
    """Write the named parameters of a model, and what they are.

    Args:
        model: The model.
        folder: Gets `trained.safetensors` and `trained.json` (names and shapes, digest, record).
        names: Parameter names as `select_trainable` gives them.
        record: Further entries of trained.json; no times or paths, the folder may be a DVC out.
            With LoRA adapters among the names, `lora` must be their rank and alpha; with
            embeddings of single tokens, `tokens` their ids.
    """
    parameters = dict(model.named_parameters())
    save_tensors({name: parameters[name] for name in names}, folder, record)


def save_tensors(
    tensors: "dict[str, torch.Tensor]", folder: Path, record: dict[str, Any] | None = None
) -> None:
    """Write trained tensors as `save_trained` does; equal tensors give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = {
        name: tensors[name].detach().to("cpu").contiguous().clone() for name in sorted(tensors)
    }
    with replace_file(folder / WEIGHTS) as temporary:
        save_file(ordered, temporary)
    (folder / WEIGHTS).chmod(0o644)
    content = {
        **(record or {}),
        "sha256": hash_file(folder / WEIGHTS),
        "parameters": sum(value.numel() for value in ordered.values()),
        "names": {name: list(value.shape) for name, value in ordered.items()},
    }
    write_json(folder / RECORD, content)


def load_trained(model: "Blip2ForConditionalGeneration", folder: Path) -> list[str]:
    """Put trained weights over a model's, and return their names.

    Adapters are merged into the weights that they were trained beside.

    Raises:
        DataError: The folder is incomplete, its digest does not fit, or a tensor is unknown to the
            model or of another shape.
    """
    record, weights = read_json(folder / RECORD), folder / WEIGHTS
    if not weights.is_file():
        raise DataError("no such file", where=weights, remedy="train again")
    if hash_file(weights) != record["sha256"]:
        raise DataError(
            f"the digest is not the one in {RECORD}", where=weights, remedy="train again"
        )
    tensors = load_file(weights)
    adapters = [name for name in tensors if is_adapter(name)]
    if adapters:
        _make_room(model, adapters, record, folder)
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        target = parameters.get(name)
        if target is None or target.shape != value.shape:
            found = "no such parameter" if target is None else f"shape {tuple(target.shape)}"
            raise DataError(
                f"{name} {tuple(value.shape)} does not fit the model ({found})",
                where=weights,
                remedy=f"it was trained from {record.get('base', 'another base')}",
            )
        with torch.no_grad():
            target.copy_(value)
    if adapters:
        merge_adapters(model)
    return sorted(record["names"])


def _make_room(
    model: "Blip2ForConditionalGeneration",
    adapters: list[str],
    record: dict[str, Any],
    folder: Path,
) -> None:
    """Add the adapters that a record tells of, untrained."""
    try:
        if layers := adapted_layers(adapters):
            add_adapters(model, layers, Lora(**record["lora"]))
        if ROWS in adapters:
            add_rows(model, record["tokens"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"its adapters do not fit the model, or it does not say of which form ({error})",
            where=folder / RECORD,
            remedy="train again",
        ) from None


def export_model(
    model: "Blip2ForConditionalGeneration", processor: MmiclProcessor, folder: Path
) -> None:
    """Write the whole model so that plain transformers loads it, without this project.

    `Blip2ForConditionalGeneration.from_pretrained(folder)` and `AutoTokenizer.from_pretrained`
    give the same logits; the placeholder must be repeated `num_query_tokens` times per image.
    """
    # save_pretrained loads accelerate, which loads deepspeed, which warns of a machine without GPU.
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
    with replace_folder(folder) as temporary:
        model.save_pretrained(temporary)
        processor.save_pretrained(temporary)
        for path in temporary.iterdir():
            path.chmod(0o644)
