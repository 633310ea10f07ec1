"""VisDial in its official files."""

from pathlib import Path

from mmicl.benchmarks.official.reading import (
    Record,
    Scored,
    index_records,
    need_references,
    pick_file,
    read_entries,
    read_table,
    refuse_unknown,
)
from mmicl.benchmarks.scorers import visdial
from mmicl.errors import DataError

Round = tuple[int, int]
_CANDIDATES = 100
_DIALOGS = "visdial_1.0_val.json"


def score_visdial(predictions: Path, references: Path | None) -> Scored:
    """`[{image_id, round_id, ranks}]` against a folder of visdial_1.0_val.json and its annotations.

    Rounds count from 1. The dialogs give recall and mean ranks over all their rounds, the dense
    annotations (visdial_1.0_val_dense_annotations.json) NDCG over one round of each image; either
    may be given alone as a file.
    """
    references = need_references(references, "the folder of visdial_1.0_val.json")
    if references.is_dir():
        dialogs = [path for path in references.glob("visdial*.json") if "dense" not in path.name]
        dialogs = [path for path in dialogs if path.name == _DIALOGS] or dialogs
        dense = list(references.glob("*dense_annotations.json"))
    else:
        named = "dense" in references.name
        dialogs, dense = ([], [references]) if named else ([references], [])
    truths = _read_dialogs(pick_file(dialogs[0] if dialogs else references)) if dialogs else {}
    relevance = _read_dense(dense[0]) if dense else {}
    if not truths and not relevance:
        raise DataError("no visdial_1.0_val.json or dense annotations", where=references)
    ranks = index_records((_read_ranks(record) for record in read_table(predictions)), predictions)
    refuse_unknown(ranks, truths or relevance, predictions)
    metrics, per_item = {}, {}
    if truths:
        found = {key: ranks[key][place] for key, place in truths.items()}
        metrics |= visdial.score_ranks(list(found.values()))
        per_item |= {_name(key): {"rank": rank} for key, rank in found.items()}
    if relevance:
        if missing := [key for key in relevance if key not in ranks]:
            raise DataError(f"no ranks for {_name(missing[0])}", where=predictions)
        gains = {key: visdial.ndcg(ranks[key], values) for key, values in relevance.items()}
        metrics["ndcg"] = sum(gains.values()) / len(gains)
        for key, value in gains.items():
            per_item.setdefault(_name(key), {})["ndcg"] = value
    return Scored(n=len(ranks), metrics=metrics, per_item=per_item)


def _read_ranks(record: Record) -> tuple[Round, list[int]]:
    ranks = record.get("ranks", list)
    if sorted(map(str, ranks)) != sorted(map(str, range(1, len(ranks) + 1))) or not all(
        type(rank) is int for rank in ranks
    ):
        raise DataError("ranks are not each of 1, 2, … once", where=record.where)
    if len(ranks) != _CANDIDATES:
        raise DataError(f"{len(ranks)} ranks, not {_CANDIDATES}", where=record.where)
    return (record.get("image_id", int), record.get("round_id", int)), ranks


def _read_dialogs(path: Path) -> dict[Round, int]:
    """The place of the right answer among each round's candidates."""
    (whole,) = read_table(path)[:1]
    data = Record(f"{path}, data", whole.get("data", dict))
    truths = {}
    for number, dialog in enumerate(read_entries(data, "dialogs"), 1):
        where = f"{path}, dialog {number}"
        image = Record(where, dialog.value).get("image_id", int)
        for turn, entry in enumerate(read_entries(Record(where, dialog.value), "dialog"), 1):
            place = entry.get("gt_index", int)
            if not 0 <= place < _CANDIDATES:
                raise DataError(f"gt_index is {place}", where=f"{where}, round {turn}")
            truths[image, turn] = place
    return truths


def _read_dense(path: Path) -> dict[Round, list[float]]:
    relevance = {}
    for record in read_table(path):
        values = record.get("gt_relevance", list)
        numbers = all(type(value) in (int, float) and 0 <= value <= 1 for value in values)
        if len(values) != _CANDIDATES or not numbers or not any(values):
            message = f"gt_relevance is not {_CANDIDATES} numbers from 0 to 1, some above 0"
            raise DataError(message, where=record.where)
        relevance[record.get("image_id", int), record.get("round_id", int)] = values
    return relevance


def _name(key: Round) -> str:
    return f"{key[0]}_{key[1]}"
