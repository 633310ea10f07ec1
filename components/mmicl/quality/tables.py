"""The tables that the gate looks at, as frames of plain columns.

Great Expectations sees one value per cell, so what a rule needs (the number of placeholders,
whether an exemplar leaks) is computed here, one column per rule. Pixels are never read: pictures
are compared by the sha256 in their references, and by the looks and sizes that ingest wrote down.

Rows are read as they lie on disk, unchecked, so that a damaged table is described by the gate
rather than by the first exception. They are walked in batches, several times over, and what must be
known of all of them at once is kept as hashes: a few hundred bytes an Example and a sample.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pydantic import ValidationError

from mmicl.config import Config, Quota
from mmicl.errors import DataError
from mmicl.images.look import PICTURES, PictureRow
from mmicl.mic.builder import PARTS
from mmicl.mic.queries import RAVEN_CONTEXT, expand
from mmicl.mic.scheme import find_fault
from mmicl.mic.templates import RESERVED, TASKS, find_faults
from mmicl.paths import Paths
from mmicl.quality.contamination import find_asked, hash_question
from mmicl.quality.language import is_foreign
from mmicl.quality.pictures import Sizes, count_lost, count_odd_sizes
from mmicl.quality.stored import StoredRows
from mmicl.quality.twins import find_twins
from mmicl.records import (
    PLACEHOLDER,
    TAGS,
    Example,
    Row,
    Sample,
    Template,
    place_image,
    proxy,
    split_reference,
)

IMAGE_REFERENCE = re.compile(r"[0-9a-f]{64}(@\d+,\d+,\d+,\d+)?")
TRAINED_PARTS = ("pretrain", "finetune")
SHARE_COLUMNS = [
    "id", "asked", "samples", "lacking", "majority_answer", "majority_share", "yes_share",
]  # fmt: skip
ROWS_AT_A_TIME = 2**16
MIN_YES_NO = 20
"""Answers yes or no from which their balance is judged."""
Values = list[dict[str, Any]]


@dataclass(frozen=True)
class Sources:
    """The rows of one checkout: Examples by dataset, templates, samples by part."""

    examples: dict[str, StoredRows]
    bank: Values
    samples: dict[str, StoredRows]
    files: Values
    """One row a file: `id` (its place in the checkout), `rows`, `schema_fault`."""
    pictures: dict[str, StoredRows]
    """Rows of `PictureRow` by dataset."""
    sizes: Sizes
    """The stored pictures of all datasets."""


class Origin(NamedTuple):
    """What is asked of an Example that a sample shows.

    Hashes are Python's, of this process: sixty-four bits.
    """

    split: str
    group: int
    """Hash of dataset and group."""
    pictures: tuple[int, ...]
    """Hashes of `_pictures`."""


def load_sources(paths: Paths, config: Config) -> Sources:
    """Read all tables of the config's datasets; other folders of data/examples are ignored.

    Raises:
        DataError: A file is missing, is not Parquet, or a line of the bank is not JSON.
    """
    files: Values = []

    def read(path: Path, kind: type[Row]) -> StoredRows:
        rows = StoredRows(path, kind)
        place = path.relative_to(paths.root).as_posix()
        files.append({"id": place, "rows": len(rows), "schema_fault": rows.fault})
        return rows

    examples = {
        name: read(paths.examples(name) / "examples.parquet", Example)
        for name in sorted(config.datasets)
    }
    pictures = {
        name: read(paths.examples(name) / PICTURES, PictureRow) for name in sorted(config.datasets)
    }
    samples = {part: read(paths.mic / f"{part}.parquet", Sample) for part in PARTS}
    bank = _read_bank(paths.bank)
    return Sources(examples, bank, samples, files, pictures, _read_sizes(pictures.values()))


def make_tables(sources: Sources, config: Config) -> dict[str, pd.DataFrame]:
    """All tables of the gate by name; each has a column `id`."""
    targets = _count_targets(sources)
    twins = find_twins(sources.examples, sources.samples, sources.pictures)
    return {
        "files": pd.DataFrame(sources.files),
        "bank": pd.DataFrame(_describe_template(row) for row in sources.bank),
        "examples": _make_frame(_describe_examples(sources, twins)),
        "samples": _make_frame(_describe_samples(sources, *_find_origins(sources))),
        "parts": _describe_shares(
            targets, {part: getattr(config.build, part) for part in TRAINED_PARTS}
        ),
        "datasets": _describe_shares(
            targets,
            {
                f"{part}/{name}": {name: quota}
                for part in TRAINED_PARTS
                for name, quota in getattr(config.build, part).items()
            },
        ),
    }  # fmt: skip


def _make_frame(described: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """A frame of rows that stand in memory as Python's objects a part at a time alone."""
    rows, parts = iter(described), list[pd.DataFrame]()
    while part := list(islice(rows, ROWS_AT_A_TIME)):
        parts.append(pd.DataFrame(part))
    columns: dict[str, Any] = {}
    for name in parts[0].columns if parts else ():
        columns[name] = pd.concat([part.pop(name) for part in parts], ignore_index=True)
    return pd.DataFrame(columns, copy=False)


def _read_sizes(pictures: Iterable[StoredRows]) -> Sizes:
    shared: dict[tuple[int, int], tuple[int, int]] = {}
    sizes = {}
    for rows in pictures:
        for row in rows.walk("sha256", "width", "height"):
            size = row["width"], row["height"]
            sizes[row["sha256"]] = shared.setdefault(size, size)
    return sizes


def _read_bank(path: Path) -> Values:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except ValueError as error:
        raise DataError(f"not JSON lines ({error})", where=path) from None
    empty = dict.fromkeys(Template.model_fields)
    return [{**empty, **row} for row in rows]


def _describe_template(row: dict[str, Any]) -> dict[str, Any]:
    try:
        faults = "; ".join(find_faults(Template.model_validate(row)))
    except ValidationError as error:
        faults = f"not a template ({error.error_count()} faults)"
    return {**row, "faults": faults}


def _describe_examples(sources: Sources, twins: dict[str, str]) -> Iterator[dict[str, Any]]:
    """One row an Example."""
    asked = find_asked(
        row
        for rows in sources.examples.values()
        for row in rows.walk("split", "question", "choices", "target")
    )
    trained: set[int] = set()
    for name, rows in sources.examples.items():
        seen = {
            hash(frozenset(_pictures(row)))
            for row in rows.walk("split", "task", "images")
            if row["split"] == "train"
        }
        for row in rows:
            images = row["images"] or []
            sound = [one for one in images if IMAGE_REFERENCE.fullmatch(one or "")]
            malformed, unusable = _find_faults(row)
            held_out = row["split"] != "train"
            yield {key: row[key] for key in ("id", "dataset", "split", "task", "group")} | {
                "folder": name,
                "lacks_images": _lacks_images(row),
                "odd_references": len(images) - len(sound),
                "lost_pictures": count_lost(sound, sources.sizes),
                "odd_sizes": count_odd_sizes(sound, sources.sizes),
                "repeats": _repeats(row, trained),
                "foreign": is_foreign(_write_text(row)),
                "asked_in_training": held_out and hash_question(row) in asked,
                "twin": _name_twin(row, twins),
                "malformed": malformed,
                "unusable": unusable,
                "seen_in_training": bool(held_out and images)
                and hash(frozenset(_pictures(row))) in seen,
            }


def _lacks_images(row: dict[str, Any]) -> bool:
    """Whether there is no image though the task is about one."""
    return not row["images"] and not (row["task"] in TASKS and TASKS[row["task"]].textual)


def _repeats(row: dict[str, Any], seen: set[int]) -> bool:
    """Whether an earlier training Example is the same in pictures, question and answer.

    A test may rightly ask twice (POPE's settings share their questions); a training set need not.
    """
    if row["split"] != "train":
        return False
    key = hash((*(row["images"] or []), row["question"], *(row["choices"] or []), row["target"]))
    seen_before = key in seen
    seen.add(key)
    return seen_before


def _write_text(row: dict[str, Any]) -> str:
    """Question, choices and target in one."""
    return " ".join([row["question"] or "", *(row["choices"] or []), row["target"] or ""])


def _name_twin(row: dict[str, Any], twins: dict[str, str]) -> str:
    """What a held-out picture looks like; "" if like none that a sample shows."""
    if row["split"] == "train" or row["task"] == "raven":
        return ""
    keys = (split_reference(image)[0] for image in row["images"] or [] if image)
    return next((twins[key] for key in keys if key in twins), "")


def _find_faults(row: dict[str, Any]) -> tuple[str, str]:
    """Why an Example breaks its task's form, and why it cannot become a prompt ("" if neither)."""
    try:
        queries = expand(Example.model_validate(row))
    except (ValidationError, DataError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.message
        return first, ""
    faults = {find_fault(query) for query in queries} - {""}
    if row["split"] == "test":
        faults -= {"no target"}
    return "", "; ".join(sorted(faults))


def _find_origins(sources: Sources) -> tuple[dict[str, Origin], dict[str, set[int]]]:
    """Every Example by its id, and the hashes of the pictures that a split may not show.

    Training shows none of val and test, val none of test, whatever the dataset.
    """
    origins: dict[str, Origin] = {}
    alike: dict[Origin, Origin] = {}  # Examples of one picture share theirs
    held_out: dict[str, set[int]] = {"train": set(), "val": set(), "test": set()}
    for rows in sources.examples.values():
        for row in rows.walk("id", "dataset", "split", "task", "group", "images"):
            pictures = tuple(hash(one) for one in _pictures(row))
            origin = Origin(row["split"], _hash_group(row), pictures)
            origins[row["id"]] = alike.setdefault(origin, origin)
            if row["split"] in ("val", "test"):
                held_out["train"].update(pictures)
            if row["split"] == "test":
                held_out["val"].update(pictures)
    return origins, held_out


def _hash_group(row: dict[str, Any]) -> int:
    return hash((row["dataset"], row["group"]))


def _describe_samples(
    sources: Sources, known: dict[str, Origin], held_out: dict[str, set[int]]
) -> Iterator[dict[str, Any]]:
    """One row a sample, joined with the Examples it was made of."""
    tasks = {row["id"]: row["task"] for row in sources.bank}
    seen: set[int] = set()
    for part, rows in sources.samples.items():
        for row in rows:
            prompt, images = row["prompt"] or "", row["images"] or []
            source = known.get(row["source"])
            own = set(source.pictures) if source else set[int]()
            barred = held_out["train" if part in TRAINED_PARTS else "val"]
            exemplars, group = row["exemplars"] or [], _hash_group(row)
            shown = [known[one] for one in exemplars if one in known]
            key = hash((part, prompt, row["target"], *images))
            yield {
                "id": row["id"],
                "target": row["target"],
                "image_count": len(images),
                "lacks_images": _lacks_images(row),
                "lost_pictures": count_lost(images, sources.sizes),
                "repeats": key in seen,
                "placeholders": prompt.count(PLACEHOLDER),
                "proxies_in_order": _has_proxies_in_order(prompt, len(images)),
                "tagged": _has_tags_in_place(prompt, len(images)),
                "right_split": row["split"] == ("train" if part in TRAINED_PARTS else "val"),
                "source_known": source is not None and source.split == row["split"],
                "template_fits": tasks.get(row["template"]) == row["task"],
                "exemplar_count": len(exemplars),
                "exemplars_unknown": len(exemplars) - len(shown),
                "exemplars_not_train": sum(one.split != "train" for one in shown),
                "exemplars_are_query": sum(one == row["source"] for one in exemplars),
                "exemplars_twice": len(exemplars) - len(set(exemplars)),
                "exemplars_of_group": sum(one.group == group for one in shown),
                "exemplars_share_picture": sum(not own.isdisjoint(one.pictures) for one in shown),
                "pictures_held_out": len(own & barred)
                + sum(not held_out["train"].isdisjoint(one.pictures) for one in shown),
            }
            seen.add(key)


def _has_proxies_in_order(prompt: str, images: int) -> bool:
    """Whether the prompt names proxies 0 … n-1 in order, each before its placeholder."""
    wanted = [token for j in range(images) for token in (proxy(j), PLACEHOLDER)]
    return RESERVED.findall(prompt) == wanted


def _has_tags_in_place(prompt: str, images: int) -> bool:
    """Whether image tags stand around each placeholder and nowhere else."""
    found = [place_image(tags=True), *TAGS]
    return all(prompt.count(text) == images for text in found)


def _count_targets(sources: Sources) -> dict[str, Counter[Any]]:
    """How often each target stands in a part (`finetune`) and in a dataset's (`finetune/vqav2`)."""
    targets: dict[str, Counter[Any]] = defaultdict(Counter)
    for part in TRAINED_PARTS:
        for row in sources.samples[part].walk("dataset", "target"):
            targets[part][row["target"]] += 1
            targets[f"{part}/{row['dataset']}"][row["target"]] += 1
    return targets


def _describe_shares(
    targets: Mapping[str, Counter[Any]], quotas: Mapping[str, Mapping[str, Quota]]
) -> pd.DataFrame:
    """One row a group of samples that has a quota: how many, and how one-sided its answers are.

    A share is filled by whatever there is.
    """
    described = []
    for name, quota in quotas.items():
        part = name.partition("/")[0]
        asked = sum(
            it if isinstance(it, int) else targets[f"{part}/{dataset}"].total()
            for dataset, it in quota.items()
        )
        if not asked:
            continue
        own = targets.get(name, Counter[Any]())
        count = own.total()
        answer, most = min(own.items(), key=lambda it: (-it[1], str(it[0])), default=("", 0))
        described.append(
            {
                "id": name,
                "asked": asked,
                "samples": count,
                "lacking": max(0, asked - count),
                "majority_answer": answer,
                "majority_share": round(most / count, 6) if count else 1.0,
                "yes_share": _share_yes(own),
            }
        )
    return pd.DataFrame(described, columns=SHARE_COLUMNS)


def _share_yes(targets: Counter[Any]) -> float | None:
    """The share of "yes" among the answers yes and no; None where they are few."""
    plain = Counter[str]()
    for target, number in targets.items():
        plain[str(target).lower().strip(" .")] += number
    judged = plain["yes"] + plain["no"]
    return round(plain["yes"] / judged, 6) if judged >= MIN_YES_NO else None


def _pictures(row: dict[str, Any]) -> set[Any]:
    """What makes an Example recognisable by its images.

    Every stored picture, crops as their picture. A RAVEN panel may recur by right: there it is the
    whole puzzle as given.
    """
    images = [one for one in row["images"] or [] if one]
    if row["task"] == "raven":
        return {tuple(images)[:RAVEN_CONTEXT]}
    return {split_reference(one)[0] if "@" in one else one for one in images}
