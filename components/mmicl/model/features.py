"""What the frozen half makes of an image, computed once: Q-Former outputs, [queries, hidden].

Of an image alone, or of a `View`, where the Q-Former reads the instruction: a key for each pair.

The store lies outside DVC's outs, in a folder named by its key. A shard is a safetensors file
(read by memory map) and a record beside it, written last: which image each row belongs to, size
and digest. A file without its record does not exist. What a shard holds never changes.
"""

import copy
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mmicl.errors import DataError, UserError
from mmicl.files import hash_file, hash_json, read_json, replace_file, write_json
from mmicl.model.prefetch import prefetch
from mmicl.model.views import View
from mmicl.processes import map_in_processes

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.images.store import ImageStore
    from mmicl.model.processor import MmiclProcessor

Precision = Literal["fp32", "bf16"]
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
SHARD_IMAGES = 4096
BATCH_IMAGES = 32
"""Images a forward pass. Always the same number (the last batch is filled up): the values of an
image must not depend on how many others were asked for."""
_ENCODER = ("vision_model.", "qformer.")
_QUERIES = "query_tokens"
_MANIFEST = "store.json"


def encode_images(
    model: "Blip2ForConditionalGeneration",
    pixels: torch.Tensor,
    instructions: Mapping[str, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Q-Former outputs [images, queries, hidden] of pixels [images, 3, height, width].

    `instructions` come from `MmiclProcessor.encode_instructions`.
    """
    half: Any = model
    weights = half.vision_model.embeddings.patch_embedding.weight
    told = {name: value.to(weights.device) for name, value in (instructions or {}).items()}
    output = half.get_image_features(pixels.to(weights.device, weights.dtype), **told)
    # The text's own states follow those of the queries.
    return output.qformer_outputs.last_hidden_state[:, : half.query_tokens.shape[1]]


def feature_key(
    model: "Blip2ForConditionalGeneration", processor: "MmiclProcessor", precision: Precision
) -> str:
    """Name features by all that makes them: frozen weights, preprocessing, precision.

    What differs from image to image is the `View.key` of each.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if name.startswith(_ENCODER) or name == _QUERIES:
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy())
    preprocessing = json.loads(processor.image_processor.to_json_string())
    reading = [processor.describe_reading()] if processor.instruct_tokenizer is not None else []
    return hash_json([digest.hexdigest(), preprocessing, precision, *reading])


def check_frozen(names: Iterable[str]) -> None:
    """See that nothing learns that cached features are made with: they would stay as they were.

    Args:
        names: Of the parameters that learn.

    Raises:
        UserError: Some of encoder, Q-Former or queries do.
    """
    if learning := sorted(name for name in names if name.startswith(_ENCODER) or name == _QUERIES):
        more = f" and {len(learning) - 1} more" if len(learning) > 1 else ""
        raise UserError(
            f"{learning[0]}{more} would learn behind cached features, which it makes",
            remedy="train it in stage I, which reads the pictures themselves",
        )


def move_encoder(model: "Blip2ForConditionalGeneration", device: torch.device) -> None:
    """Put the half that makes features on a device; the language model stays where it is."""
    encoder: Any = model
    encoder.query_tokens.data = encoder.query_tokens.data.to(device)
    for part in (encoder.vision_model, encoder.qformer, encoder.language_projection):
        part.to(device)


def copy_encoder(
    model: "Blip2ForConditionalGeneration", device: torch.device
) -> "Blip2ForConditionalGeneration":
    """The model once more, with that half of its own on a device; the language model is shared."""
    language = model.language_model
    replica = copy.deepcopy(model, {id(language): language})
    move_encoder(replica, device)
    return replica


def discard_damaged(folder: Path) -> list[str]:
    """Compare every shard with its record, and drop those that differ: they are computed again.

    Returns:
        Names of the shards that were dropped.
    """
    dropped = []
    for record in sorted(folder.glob("features-*.json")):
        shard = record.with_suffix(".safetensors")
        if not shard.is_file() or hash_file(shard) != read_json(record)["sha256"]:
            record.unlink()
            dropped.append(shard.name)
    return dropped


class FeatureStore:
    """Features by the key of an image's `View`: its reference, where no instruction is read.

    Args:
        folder: Made on first use.
        key: From `feature_key`.
        precision: Of the stored values; `get` always gives float32.

    Raises:
        DataError: The folder holds features of another key, or a shard is damaged.
    """

    def __init__(self, folder: Path, key: str, precision: Precision = "fp32") -> None:
        self.folder, self.key = folder, key
        self.precision: Precision = precision
        self._places: dict[str, tuple[str, int]] = {}
        self._open: dict[str, Any] = {}
        manifest = folder / _MANIFEST
        if manifest.exists():
            found = read_json(manifest)
            if found != self._manifest():
                raise DataError(
                    f"these are features of key {found.get('key', '?')[:12]}, not {key[:12]}",
                    where=folder,
                    remedy="run the stage features again, or remove the folder",
                )
        self._read_records()

    def __contains__(self, reference: str) -> bool:
        return reference in self._places

    def __len__(self) -> int:
        return len(self._places)

    def get(self, reference: str) -> torch.Tensor:
        """The features of one image, float32 [queries, hidden].

        Raises:
            DataError: The store has no such image.
        """
        try:
            shard, row = self._places[reference]
        except KeyError:
            raise DataError(
                "no features of this image", where=reference, remedy="run the stage features again"
            ) from None
        if shard not in self._open:
            self._open[shard] = safe_open(self.folder / shard, framework="pt")
        return self._open[shard].get_slice("features")[row].float()

    @property
    def shape(self) -> tuple[int, int] | None:
        """Queries and hidden size; None for an empty store."""
        for reference in self._places:
            queries, hidden = self.get(reference).shape
            return queries, hidden
        return None

    def ensure(
        self,
        views: Iterable[View],
        images: "ImageStore",
        model: "Blip2ForConditionalGeneration",
        processor: "MmiclProcessor",
        *,
        workers: int = 1,
        processes: int = 1,
        replicas: "Sequence[Blip2ForConditionalGeneration]" = (),
        on_progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Compute what is missing, and return how many views that was.

        A shard counts as soon as it is complete, so that an interrupted run goes on from there.

        Args:
            views: All that will be asked for; repetitions are fine.
            images: Where the pictures are.
            model: Must be the one that `key` describes.
            processor: The model's.
            workers: Threads that decode pictures.
            processes: That compute, a shard each; more than one on a processor alone.
            replicas: The model on further GPUs (`copy_encoder`), which compute shards beside it.
            on_progress: Called with images done and images to do.

        Raises:
            DataError: A picture is missing, or the model is not the key's.
        """
        wanted = {view.key: view for view in views}
        missing = sorted(set(wanted) - set(self._places))
        if not missing:
            return 0
        if (found := feature_key(model, processor, self.precision)) != self.key:
            raise DataError(
                f"the model makes features of key {found[:12]}, not {self.key[:12]}",
                where=self.folder,
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / _MANIFEST, self._manifest())
        shards = [
            tuple(missing[start : start + SHARD_IMAGES])
            for start in range(0, len(missing), SHARD_IMAGES)
        ]
        free: SimpleQueue[tuple[Blip2ForConditionalGeneration, MmiclProcessor]] = SimpleQueue()
        for one in (model, *replicas):
            # A processor's tokenizers are not for several threads.
            free.put((one, copy.deepcopy(processor) if replicas else processor))
        tell = _count_up(len(missing), on_progress)

        def compute(names: Sequence[str]) -> None:
            parts, pair = [], free.get()
            try:
                shown = [wanted[name] for name in names]
                for part in compute_features(shown, images, *pair, workers=workers):
                    parts.append(part.to(DTYPES[self.precision]))
                    tell(len(part))
            finally:
                free.put(pair)
            self._write_shard(names, torch.cat(parts))

        try:
            if replicas:
                deque(prefetch(compute, shards, 1 + len(replicas)), maxlen=0)
            else:
                map_in_processes(compute, shards, processes)
        finally:
            self._read_records()  # of those that other processes wrote
        return len(missing)

    def _manifest(self) -> dict[str, str]:
        return {"key": self.key, "precision": self.precision}

    def _write_shard(self, references: Sequence[str], values: torch.Tensor) -> None:
        # Named by what it holds: two runs that compute the same images write the same file.
        name = f"features-{hash_json(list(references))[:20]}"
        shard, record = self.folder / f"{name}.safetensors", self.folder / f"{name}.json"
        with replace_file(shard) as temporary:
            save_file({"features": values.contiguous()}, temporary)
        content = {
            "bytes": shard.stat().st_size,
            "sha256": hash_file(shard),
            "references": list(references),
        }
        write_json(record, content)

    def _read_records(self) -> None:
        for record in sorted(self.folder.glob("features-*.json")):
            self._read_record(record)

    def _read_record(self, record: Path) -> None:
        content, shard = read_json(record), record.with_suffix(".safetensors")
        try:
            if shard.stat().st_size != content["bytes"]:
                raise DataError(
                    f"{shard.stat().st_size} bytes instead of {content['bytes']}",
                    where=shard,
                    remedy=f"remove {record.name}, and run the stage features again",
                )
            with safe_open(shard, framework="pt") as opened:
                rows = opened.get_slice("features").get_shape()[0]
        except (FileNotFoundError, SafetensorError) as error:
            raise DataError(
                f"cannot be read ({error})", where=shard, remedy=f"remove {record.name}"
            ) from None
        if rows != len(content["references"]):
            raise DataError(f"{rows} rows for {len(content['references'])} images", where=shard)
        for row, reference in enumerate(content["references"]):
            self._places.setdefault(reference, (shard.name, row))


def _count_up(number: int, on_progress: Callable[[int, int], None] | None) -> Callable[[int], None]:
    """A function that several threads may tell of images done, and that passes their sum on."""
    done, counting = 0, Lock()

    def tell(more: int) -> None:
        nonlocal done
        with counting:
            done += more
            if on_progress:
                on_progress(done, number)

    return tell


@torch.inference_mode()
def compute_features(
    views: Sequence[View],
    images: "ImageStore",
    model: "Blip2ForConditionalGeneration",
    processor: "MmiclProcessor",
    *,
    workers: int = 1,
) -> Iterator[torch.Tensor]:
    """Features of images in order, in parts of at most BATCH_IMAGES, float32 on the CPU.

    Instructions of a part are padded to its longest, behind a mask: up to float32 rounding a view's
    features do not depend on the others.
    """
    model.eval()

    def load(batch: Sequence[View]) -> tuple[Sequence[View], torch.Tensor]:
        pixels = processor.pixels([images.load(view.image) for view in batch])
        filler = pixels[-1:].expand(BATCH_IMAGES - len(batch), -1, -1, -1)
        return batch, torch.cat([pixels, filler])

    starts = range(0, len(views), BATCH_IMAGES)
    batches = (views[start : start + BATCH_IMAGES] for start in starts)
    for batch, pixels in prefetch(load, batches, workers):
        # Not in the threads: a tokenizer that pads and cuts changes with its use.
        told = processor.encode_instructions([*batch, *[batch[-1]] * (len(pixels) - len(batch))])
        yield encode_images(model, pixels, told)[: len(batch)].float().cpu()
