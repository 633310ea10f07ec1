"""The original's way of storing: every picture of every sample as fp32 pixels in Arrow.

Decoded, resized, normalised and stored once per sample that shows it, beside texts padded to their
longest (released project: data_preprocess.py; its authors count about 1 TB for half a million
samples). In its favour: numbers are written from arrays and read as arrays, not as Python lists;
a sample holds its own images alone, no empty slots; token ids are int32.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from mmicl.images.store import ImageStore
from mmicl.model.processor import MmiclProcessor
from mmicl.records import Sample

SIZE, SLOTS, PROMPT_TOKENS, TARGET_TOKENS = 224, 8, 512, 128
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
"""CLIP's, as BLIP-2 has them."""
ROWS_A_BATCH = 64
SCHEMA = pa.schema(
    {
        "pixel_values": pa.large_list(pa.float32()),
        "input_ids": pa.list_(pa.int32()),
        "attention_mask": pa.list_(pa.int32()),
        "label": pa.list_(pa.int32()),
    }
)


def write_original(
    path: Path, samples: Iterable[Sample], images: ImageStore, processor: MmiclProcessor
) -> int:
    """Write samples as the original does; returns the bytes."""
    with pa.ipc.new_file(str(path), SCHEMA) as writer:
        rows: list[Sample] = []
        for sample in samples:
            rows.append(sample)
            if len(rows) == ROWS_A_BATCH:
                writer.write_batch(_make_batch(rows, images, processor))
                rows = []
        if rows:
            writer.write_batch(_make_batch(rows, images, processor))
    return path.stat().st_size


def _make_batch(
    rows: Sequence[Sample], images: ImageStore, processor: MmiclProcessor
) -> pa.RecordBatch:
    pixels = [np.stack([_load(images.load(name)) for name in row.images]) for row in rows]
    prompts = processor.encode([row.prompt for row in rows], [len(row.images) for row in rows])
    targets = processor.tokenizer([row.target for row in rows]).input_ids
    columns = [
        _pad(prompts, PROMPT_TOKENS, processor.pad_id),
        _pad([[1] * len(ids) for ids in prompts], PROMPT_TOKENS, 0),
        _pad(targets, TARGET_TOKENS, -100),
    ]
    offsets = np.cumsum([0, *(one.size for one in pixels)], dtype=np.int64)
    values = np.concatenate([one.ravel() for one in pixels])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
    texts = [pa.array(list(column), pa.list_(pa.int32())) for column in columns]
    return pa.record_batch([lists, *texts], schema=SCHEMA)


def _load(picture: Image.Image) -> np.ndarray:
    """Pixels [3, SIZE, SIZE], normalised."""
    resized = picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    values = np.asarray(resized, np.float32) / 255
    return ((values - MEAN) / DEVIATION).transpose(2, 0, 1)


def _pad(rows: Sequence[Sequence[int]], length: int, filler: int) -> np.ndarray:
    padded = np.full((len(rows), length), filler, np.int32)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row[:length]
    return padded


class OriginalLoader:
    """Batches from such a file: pixels to SLOTS images a prompt, texts as they are stored."""

    def __init__(self, path: Path) -> None:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        self.table = reader.read_all()
        self._rows = [
            (batch, row)
            for batch in map(reader.get_batch, range(reader.num_record_batches))
            for row in range(batch.num_rows)
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def make(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """A batch: pixel_values [rows, SLOTS, 3, SIZE, SIZE] and the texts' tensors."""
        pixels = torch.zeros(len(indices), SLOTS, 3, SIZE, SIZE)
        texts: dict[str, list[np.ndarray]] = {name: [] for name in SCHEMA.names[1:]}
        for place, index in enumerate(indices):
            batch, row = self._rows[index]
            values = batch.column(0)[row].values.to_numpy()
            loaded = torch.tensor(values).view(-1, 3, SIZE, SIZE)
            pixels[place, : len(loaded)] = loaded
            for name, column in texts.items():
                column.append(batch.column(name)[row].values.to_numpy())
        return {
            "pixel_values": pixels,
            **{name: torch.tensor(np.stack(column)) for name, column in texts.items()},
        }


def shuffle(count: int, size: int, seed: int) -> Iterator[list[int]]:
    """Batches of row numbers, every row once."""
    order = np.random.default_rng(seed).permutation(count).tolist()
    for start in range(0, count, size):
        yield order[start : start + size]
