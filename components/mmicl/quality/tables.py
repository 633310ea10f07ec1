"""The tables that the gate looks at, as frames of plain columns.

Great Expectations sees one value per cell, so what a rule needs (the number of placeholders,
whether an exemplar leaks) is computed here, one column per rule. Pixels are never read: pictures
are compared by the sha256 in their references, and by the looks and sizes that ingest wrote down.

Rows are read as they lie on disk, unchecked, so that a damaged table is described by the gate
rather than by the first exception.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mmicl.config import Config
from mmicl.errors import DataError
from mmicl.images.look import PICTURES, PictureRow
from mmicl.mic.queries import RAVEN_CONTEXT, expand
from mmicl.mic.scheme import find_fault
from mmicl.mic.templates import RESERVED, find_faults
from mmicl.paths import Paths
from mmicl.quality.contamination import find_alike, find_asked, read_question
from mmicl.quality.pictures import Known, count_lost, count_odd_sizes
from mmicl.records import PLACEHOLDER, Example, Row, Sample, Template, proxy, split_reference

IMAGE_REFERENCE = re.compile(r"[0-9a-f]{64}(@\d+,\d+,\d+,\d+)?")
TRAINED_PARTS = ("pretrain", "finetune")
SHARE_COLUMNS = [
    "id", "asked", "samples", "lacking", "majority_answer", "majority_share", "yes_share",
]  # fmt: skip
MIN_YES_NO = 20
"""Answers yes or no from which their balance is judged."""
Values = list[dict[str, Any]]


@dataclass(frozen=True)
class Sources:
    """The rows of one checkout: Examples by dataset, templates, samples by part."""

    examples: dict[str, Values]
    bank: Values
    samples: dict[str, Values]
    files: Values
    """One row a file: `id` (its place in the checkout), `rows`, `schema_fault`."""
    pictures: Known
    """The stored pictures of all datasets: sha256 -> row of `PictureRow`."""


def load_sources(paths: Paths, config: Config) -> Sources:
    """Read all tables of the config's datasets; other folders of data/examples are ignored.

    Raises:
        DataError: A file is missing, is not Parquet, or a line of the bank is not JSON.
    """
    files: Values = []

    def read(path: Path, kind: type[Row]) -> Values:
        values, fault = _read_parquet(path, kind)
        place = path.relative_to(paths.root).as_posix()
        files.append({"id": place, "rows": len(values), "schema_fault": fault})
        return values

    examples = {
        name: read(paths.examples(name) / "examples.parquet", Example)
        for name in sorted(config.datasets)
    }
    pictures = {
        row["sha256"]: row
        for name in sorted(config.datasets)
        for row in read(paths.examples(name) / PICTURES, PictureRow)
    }
    samples = {
        part: read(paths.mic / f"{part}.parquet", Sample) for part in (*TRAINED_PARTS, "val")
    }
    return Sources(examples, _read_bank(paths.bank), samples, files, pictures)


def make_tables(sources: Sources, config: Config) -> dict[str, pd.DataFrame]:
    """All tables of the gate by name; each has a column `id`."""
    examples = [row for rows in sources.examples.values() for row in rows]
    samples = [{**row, "part": part} for part, rows in sources.samples.items() for row in rows]
    pictures = {row["id"]: _pictures(row) for row in examples}
    return {
        "files": pd.DataFrame(sources.files),
        "bank": pd.DataFrame(_describe_template(row) for row in sources.bank),
        "examples": _describe_examples(sources, pictures, _find_twins(sources)),
        "samples": _describe_samples(samples, sources, examples, pictures),
        "parts": _describe_shares(
            samples, "part", {part: getattr(config.build, part) for part in TRAINED_PARTS}
        ),
        "datasets": _describe_shares(
            [{**row, "of": f"{row['part']}/{row['dataset']}"} for row in samples],
            "of",
            {
                f"{part}/{name}": {name: quota}
                for part in TRAINED_PARTS
                for name, quota in getattr(config.build, part).items()
            },
        ),
    }  # fmt: skip


def _read_parquet(path: Path, kind: type[Row]) -> tuple[Values, str]:
    """A file's rows, columns it lacks filled with null, and how its schema differs ("" if not)."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except pa.ArrowInvalid as error:
        raise DataError(f"not Parquet ({error})", where=path) from None
    found = {field.name: str(field.type) for field in table.schema}
    wanted = {field.name: str(field.type) for field in kind.schema_arrow()}
    faults = [f"{name} is missing" for name in wanted if name not in found]
    faults += [f"{name} is unknown" for name in found if name not in wanted]
    faults += [
        f"{name} is {found[name]}, not {wanted[name]}"
        for name in wanted
        if name in found and _plain(found[name]) != _plain(wanted[name])
    ]
    empty = dict.fromkeys(wanted)
    return [{**empty, **row} for row in table.to_pylist()], "; ".join(faults)


def _plain(kind: str) -> str:
    """A type's name without what Parquet changes: the name of a list's element."""
    return kind.replace("element:", "item:")


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


def _find_twins(sources: Sources) -> dict[str, str]:
    """Pictures of the test splits that look like one of a training sample -> that one.

    Panels of matrices are left out, as in `mmicl.mic.builder.find_held_out`.
    """
    tests = (row for rows in sources.examples.values() for row in rows if row["split"] == "test")
    trained = (row for part in TRAINED_PARTS for row in sources.samples[part])

    def read_looks(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
        keys = {
            split_reference(image)[0]
            for row in rows
            if row["task"] != "raven"
            for image in row["images"] or []
            if image
        }
        return {key: sources.pictures[key]["look"] for key in keys if key in sources.pictures}

    return find_alike(read_looks(tests), read_looks(trained))


def _describe_examples(
    sources: Sources, pictures: dict[str, set[Any]], twins: dict[str, str]
) -> pd.DataFrame:
    """One row an Example."""
    described = []
    asked = find_asked(row for rows in sources.examples.values() for row in rows)
    trained: set[Any] = set()
    for name, rows in sources.examples.items():
        seen: set[Any] = set()
        for row in rows:
            if row["split"] == "train":
                seen.add(frozenset(pictures[row["id"]]))
        for row in rows:
            images = row["images"] or []
            sound = [one for one in images if IMAGE_REFERENCE.fullmatch(one or "")]
            malformed, unusable = _find_faults(row)
            described.append(
                {key: row[key] for key in ("id", "dataset", "split", "task", "target", "group")}
                | {
                    "folder": name,
                    "image_count": len(images),
                    "odd_references": len(images) - len(sound),
                    "lost_pictures": count_lost(sound, sources.pictures),
                    "odd_sizes": count_odd_sizes(sound, sources.pictures),
                    "repeats": _repeats(row, trained),
                    "foreign": _has_foreign_letters(row),
                    "asked_in_training": row["split"] != "train" and read_question(row) in asked,
                    "twin": _name_twin(row, twins),
                    "malformed": malformed,
                    "unusable": unusable,
                    "seen_in_training": (
                        row["split"] != "train" and frozenset(pictures[row["id"]]) in seen
                    ),
                }
            )
    return pd.DataFrame(described)


def _repeats(row: dict[str, Any], seen: set[Any]) -> bool:
    """Whether an earlier training Example is the same in pictures, question and answer.

    A test may rightly ask twice (POPE's settings share their questions); a training set need not.
    """
    if row["split"] != "train":
        return False
    key = (*(row["images"] or []), row["question"], *(row["choices"] or []), row["target"])
    seen_before = key in seen
    seen.add(key)
    return seen_before


def _has_foreign_letters(row: dict[str, Any]) -> bool:
    """Whether most letters of question, choices and target are not Latin; the bank is English."""
    text = " ".join([row["question"] or "", *(row["choices"] or []), row["target"] or ""])
    if text.isascii():
        return False
    letters = [sign for sign in text if sign.isalpha()]
    foreign = sum(not unicodedata.name(sign, "").startswith("LATIN") for sign in letters)
    return 2 * foreign > len(letters)


def _name_twin(row: dict[str, Any], twins: dict[str, str]) -> str:
    """What a test's picture looks like; "" if like none of the training samples'."""
    if row["split"] != "test" or row["task"] == "raven":
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


def _describe_samples(
    samples: Values, sources: Sources, examples: Values, pictures: dict[str, set[Any]]
) -> pd.DataFrame:
    """One row a sample, joined with the Examples it was made of."""
    known = {row["id"]: row for row in examples}
    tasks = {row["id"]: row["task"] for row in sources.bank}
    seen: set[Any] = set()
    held_out = {
        picture for row in examples if row["split"] != "train" for picture in pictures[row["id"]]
    }
    described = []
    for row in samples:
        prompt, images = row["prompt"] or "", row["images"] or []
        source, own = known.get(row["source"]), pictures.get(row["source"], set())
        exemplars = row["exemplars"] or []
        shown = [known[one] for one in exemplars if one in known]
        described.append(
            {
                key: row[key]
                for key in ("id", "part", "dataset", "split", "task", "prompt", "target", "group")
            }
            | {
                "image_count": len(images),
                "lost_pictures": count_lost(images, sources.pictures),
                "repeats": (key := (row["part"], prompt, row["target"], *images)) in seen,
                "placeholders": prompt.count(PLACEHOLDER),
                "proxies_in_order": _has_proxies_in_order(prompt, len(images)),
                "right_split": row["split"] == ("val" if row["part"] == "val" else "train"),
                "source_known": source is not None and source["split"] == row["split"],
                "template_fits": tasks.get(row["template"]) == row["task"],
                "exemplar_count": len(exemplars),
                "exemplars_unknown": len(exemplars) - len(shown),
                "exemplars_not_train": sum(one["split"] != "train" for one in shown),
                "exemplars_are_query": sum(one == row["source"] for one in exemplars),
                "exemplars_twice": len(exemplars) - len(set(exemplars)),
                "exemplars_of_group": sum(
                    one["group"] == row["group"] and one["dataset"] == row["dataset"]
                    for one in shown
                ),
                "exemplars_share_picture": sum(bool(pictures[one["id"]] & own) for one in shown),
                "pictures_held_out": 0 if row["part"] == "val" else len(own & held_out),
            }
        )
        seen.add(key)
    return pd.DataFrame(described)


def _has_proxies_in_order(prompt: str, images: int) -> bool:
    """Whether the prompt names proxies 0 … n-1 in order, each before its placeholder."""
    wanted = [token for j in range(images) for token in (proxy(j), PLACEHOLDER)]
    return RESERVED.findall(prompt) == wanted


def _describe_shares(samples: Values, key: str, quotas: dict[str, dict[str, int]]) -> pd.DataFrame:
    """One row a group of samples that has a quota: how many, and how one-sided its answers are."""
    described = []
    for name, quota in quotas.items():
        asked = sum(quota.values())
        if not asked:
            continue
        targets = Counter(row["target"] for row in samples if row[key] == name)
        count = targets.total()
        answer, most = min(targets.items(), key=lambda it: (-it[1], str(it[0])), default=("", 0))
        described.append(
            {
                "id": name,
                "asked": asked,
                "samples": count,
                "lacking": max(0, asked - count),
                "majority_answer": answer,
                "majority_share": round(most / count, 6) if count else 1.0,
                "yes_share": _share_yes(targets),
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
