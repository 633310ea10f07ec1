"""The job: each picture of a share of shards gets captions, scores for them, and the best one."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import torch
from pydantic import ValidationError

from mmicl.captioning.models import Captioner, Matcher, find_checkpoint
from mmicl.captioning.options import Options
from mmicl.captioning.shards import CAPTION, Shard, Written, add_columns, find_shards, read_chunks
from mmicl.errors import ResourceError, UserError
from mmicl.images.decoding import ImageError, check_picture, decode
from mmicl.model.prefetch import prefetch
from mmicl.sources.img2dataset import DONE, Fetched, Piece, read_members, read_picture_of
from mmicl.sources.official import RecordError, explain_invalid
from mmicl.sources.texts import check_plain

ROWS, WEB, SYNTHETIC = "rows", "web", "synthetic"
NO_PICTURE, NO_TEXT = "without_picture", "without_web_text"
COUNTED = (ROWS, SYNTHETIC, WEB, NO_PICTURE, NO_TEXT)
WORKERS = 8
"""Threads that read and decode pictures ahead of the models."""

Row = dict[str, Any]
Advance = Callable[[int], None]
"""Is told how many more rows are done."""


@dataclass(frozen=True)
class Models:
    """The two models, and what the columns of their names say."""

    captioner: Captioner
    matcher: Matcher
    names: dict[str, str]


@dataclass(frozen=True)
class Pixels:
    """A row's picture as each model takes it, and the digest of its bytes as they were fetched."""

    digest: str
    captioner: torch.Tensor
    matcher: torch.Tensor


@dataclass(frozen=True)
class Outcome:
    """What became of the row at `place`: as what it is counted, and values of the columns."""

    place: int
    counted: str
    values: Row


def caption_shards(
    options: Options, start: Callable[[int], Advance], say: Callable[[str], None]
) -> dict[str, int]:
    """Do every shard of a share that is not done yet.

    Args:
        options: The job.
        start: Is told how many rows there are to do; gives what is told of their progress.
        say: Takes a line for a person when a shard is done.

    Returns:
        How many shards, how many of them were done before, and over all of them: rows; pictures
        whose best caption is `synthetic`, or from the `web`; rows without a picture (the address
        gave none); rows by `error_<reason>`. These add up to the rows. Beside them, pictures whose
        web text is none that could be used.

    Raises:
        UserError: An argument is wrong, or a shard was done under others.
        DataError: A shard cannot be read, or a done one has changed.
        ResourceError: The GPU's memory is too small for the batch.
    """
    shards = find_shards(options.source, options.share)
    device = find_device(options.device)
    captioner = find_checkpoint(options.captioner, "--captioner")
    matcher = find_checkpoint(options.matcher, "--matcher")
    names = {"captioner": captioner.identity, "matcher": matcher.identity}
    arguments = options.arguments(**names)
    totals: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
    todo: list[Shard] = []
    for shard in shards:
        if done := Written(shard, options.out).find_counts(arguments):
            totals.update(done)
        else:
            todo.append(shard)
    advance = start(sum(shard.rows for shard in todo))
    if todo:
        models = Models(
            Captioner(captioner, options, device), Matcher(matcher, options, device), names
        )
        for shard in todo:
            counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
            tables = caption_shard(shard, models, options.batch_size, counts, advance)
            Written(shard, options.out).write(tables, arguments, counts)
            say(f"{shard.name}: " + ", ".join(f"{key} {value}" for key, value in counts.items()))
            totals.update(counts)
    return {"shards": len(shards), "done_before": len(shards) - len(todo), **totals}


def find_device(name: str) -> str:
    """The device behind `auto`, or the named one.

    Raises:
        UserError: torch sees no such GPU.
    """
    count = torch.cuda.device_count()
    if name == "auto":
        return "cuda" if count else "cpu"
    if name != "cpu" and int(name.partition(":")[2] or 0) >= count:
        raise UserError(f"torch sees {count} GPUs", where=f"--device {name}", remedy="give cpu")
    return name


def caption_shard(
    shard: Shard, models: Models, batch_size: int, counts: Counter[str], advance: Advance
) -> Iterator[pa.Table]:
    """The table of a shard with captions of ours, in pieces.

    Args:
        shard: The shard.
        models: The models.
        batch_size: Pictures a forward pass.
        counts: Is added to, as `caption_shards` says.
        advance: Is told of rows as they are done.

    Raises:
        DataError: The matcher's scores are not finite.
        ResourceError: The GPU's memory is too small for the batch.
    """
    pieces = read_members(shard.tar) if shard.tar else None
    for table in read_chunks(shard):
        rows: list[Row] = table.select([*shard.columns]).to_pylist()
        values: list[Row] = [{CAPTION: row[CAPTION], "web_caption": row[CAPTION]} for row in rows]
        read = partial(_read_pixels, shard=shard, pieces=pieces, models=models)
        for outcome in _caption_rows(rows, read, models, batch_size):
            values[outcome.place] |= outcome.values
            counts[outcome.counted] += 1
            if "synthetic_scores" in outcome.values and "web_score" not in outcome.values:
                counts[NO_TEXT] += 1
            advance(1)
        counts[ROWS] += len(rows)
        yield add_columns(table, values)


def _caption_rows(
    rows: Sequence[Row],
    read: Callable[[Row], Pixels | RecordError],
    models: Models,
    batch_size: int,
) -> Iterator[Outcome]:
    """What becomes of some rows, each once, in any order."""
    fetched = [place for place, row in enumerate(rows) if row["status"] == DONE]
    for place, row in enumerate(rows):
        if row["status"] != DONE:
            yield Outcome(place, NO_PICTURE, {})
    batch: dict[int, Pixels] = {}
    results = prefetch(read, (rows[place] for place in fetched), WORKERS)
    for place, result in zip(fetched, results, strict=True):
        if isinstance(result, RecordError):
            yield Outcome(place, f"error_{result.reason}", {"caption_error": str(result)})
        else:
            batch[place] = result
        if len(batch) == batch_size:
            yield from _caption_batch(batch, rows, models)
            batch = {}
    if batch:
        yield from _caption_batch(batch, rows, models)


def _read_pixels(
    row: Row, shard: Shard, pieces: dict[str, Piece] | None, models: Models
) -> Pixels | RecordError:
    """A row's picture, decoded as the store of pictures does it, or why there is none."""
    try:
        fetched = Fetched.model_validate(row)
        name, data = read_picture_of(fetched, row, shard.path, pieces)
        image = decode(check_picture(data, name).data, name)
    except ValidationError as error:
        return explain_invalid(error)
    except ImageError as error:
        return RecordError(error.reason, str(error))
    except RecordError as error:
        return error
    return Pixels(fetched.sha256, models.captioner.prepare(image), models.matcher.prepare(image))


def _caption_batch(
    batch: dict[int, Pixels], rows: Sequence[Row], models: Models
) -> Iterator[Outcome]:
    """Captions for a batch of pictures by their rows' places.

    Raises:
        ResourceError: The GPU's memory is too small for it.
    """
    pictures = list(batch.values())
    webs = [[text] if _is_usable(text := rows[place][CAPTION]) else [] for place in batch]
    try:
        written = models.captioner.write(
            [one.captioner for one in pictures], [one.digest for one in pictures]
        )
        drawn = [[text for text in dict.fromkeys(own) if _is_usable(text)] for own in written]
        texts = [web + own for web, own in zip(webs, drawn, strict=True)]
        scores = models.matcher.score([one.matcher for one in pictures], texts)
    except torch.OutOfMemoryError:
        message = f"{len(batch)} pictures do not fit the GPU's memory"
        raise ResourceError(message, where="mmicl caption", remedy="lower --batch-size") from None
    for place, web, own, values in zip(batch, webs, drawn, scores, strict=True):
        yield _choose(place, web, own, values, models.names)


def _is_usable(text: object) -> bool:
    """Whether readers would take a text: not empty, without the prompts' reserved tokens."""
    try:
        return isinstance(text, str) and bool(check_plain(text))
    except RecordError:
        return False


def _choose(
    place: int, web: list[str], drawn: list[str], scores: list[float], names: dict[str, str]
) -> Outcome:
    """The best of a picture's texts; of equal ones the first, and the web's before all.

    Args:
        place: Of its row.
        web: The web's text, if it can be used.
        drawn: Captions, without repeats.
        scores: Of the web's text and the captions, in this order.
        names: Of the models.
    """
    values: Row = {"synthetic_captions": drawn, "synthetic_scores": scores[len(web) :], **names}
    if web:
        values["web_score"] = scores[0]
    if not scores:
        fault = RecordError("no_caption", "neither the web nor the captioner gave a usable text")
        return Outcome(place, f"error_{fault.reason}", {**values, "caption_error": str(fault)})
    best = max(range(len(scores)), key=scores.__getitem__)
    origin = WEB if best < len(web) else SYNTHETIC
    return Outcome(
        place, origin, {**values, CAPTION: [*web, *drawn][best], "caption_origin": origin}
    )
