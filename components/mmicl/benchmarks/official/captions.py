"""Captions: COCO, Flickr30k and nocaps, in their official files."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mmicl.benchmarks.official.reading import (
    Record,
    Scored,
    index_records,
    need_references,
    pick_file,
    read_entries,
    read_lines,
    read_table,
    refuse_unknown,
)
from mmicl.benchmarks.scorers import caption as captions
from mmicl.errors import DataError

Key = int | str
_NOCAPS_DOMAINS = ("in-domain", "near-domain", "out-domain")
_NOCAPS_NAMES = {
    "Bleu_1": "B1",
    "Bleu_2": "B2",
    "Bleu_3": "B3",
    "Bleu_4": "B4",
    "ROUGE_L": "ROUGE-L",
}


def score_coco_caption(predictions: Path, references: Path | None) -> Scored:
    """`[{image_id, caption}]` against a COCO captions file; images with a caption are scored."""
    name = "captions_val2014.json"
    path = pick_file(need_references(references, name), name, "captions*.json")
    return _score_captions(predictions, _read_coco(path))


def score_flickr30k(predictions: Path, references: Path | None) -> Scored:
    """`[{image_id, caption}]` against Flickr30k; images with a caption are scored.

    References are the test split of Karpathy's dataset_flickr30k.json, all of the original
    results_20130124.token, or a file of COCO's form. `image_id` is the picture's file name, with or
    without .jpg, or that as a number.
    """
    path = pick_file(
        need_references(references, "dataset_flickr30k.json"),
        "dataset_flickr30k.json",
        "*.token",
        "captions*.json",
    )
    truths: Mapping[Key, list[str]]
    if path.suffix == ".token":
        truths = _read_tokens(path)
    elif records := [one for one in read_table(path, "images") if "sentences" in one.value]:
        truths = _read_karpathy(records, path)
    else:
        truths = {_name_picture(key): texts for key, texts in _read_coco(path).items()}
    return _score_captions(predictions, truths, pictures=True)


def score_nocaps(predictions: Path, references: Path | None) -> Scored:
    """`[{image_id, caption}]` for every image of nocaps_val_4500_captions.json (`domain` within).

    The names are those of the evaluation server (nocaps-org/updown-baseline
    updown/utils/evalai.py), whose code is not public; each domain is scored on its own.
    """
    path = pick_file(
        need_references(references, "nocaps_val_4500_captions.json"), "nocaps*captions*.json"
    )
    truths = _read_coco(path)
    domains = index_records(
        (
            (record.get("id", (int, str)), record.get("domain", str))
            for record in read_table(path, "images")
        ),
        path,
    )
    results = _read_results(predictions)
    refuse_unknown(results, domains, predictions)
    missing = captions.list_missing()
    metrics: dict[str, dict[str, float]] = defaultdict(dict)
    per_item: dict[str, dict[str, float]] = {}
    for part in (*_NOCAPS_DOMAINS, "entire"):
        keys = [key for key, domain in domains.items() if part in ("entire", domain)]
        if not keys:
            continue
        if bare := [key for key in keys if key not in truths]:
            raise DataError(f"image {bare[0]} has no captions", where=path)
        texts, right = [results[key] for key in keys], [truths[key] for key in keys]
        scores = captions.score(texts, right, meteor="METEOR" not in missing)
        for name, value in scores.overall.items():
            metrics[_NOCAPS_NAMES.get(name, name)][part] = value
        per_item = _list_items(keys, scores)
    found = {**metrics, "not_computed": missing}
    return Scored(n=len(domains), metrics=found, per_item=per_item, written=results.values())


def _score_captions(
    predictions: Path, truths: Mapping[Key, list[str]], *, pictures: bool = False
) -> Scored:
    results = _read_results(predictions, pictures=pictures)
    if unknown := [key for key in results if key not in truths]:
        message = f"{len(unknown)} captions of images without references, the first {unknown[0]}"
        raise DataError(message, where=predictions)
    ids = sorted(results, key=lambda key: (isinstance(key, str), key))
    needs = captions.list_missing()
    texts, right = [results[key] for key in ids], [truths[key] for key in ids]
    scores = captions.score(texts, right, meteor="METEOR" not in needs)
    missing = len(truths) - len(ids)
    note = f"{missing} of {len(truths)} images have no caption and are not scored, as officially"
    return Scored(
        n=len(ids),
        metrics={**scores.overall, "not_computed": needs},
        per_item=_list_items(ids, scores),
        warnings=[note] if missing else [],
        written=results.values(),
    )


def _read_results(predictions: Path, *, pictures: bool = False) -> dict[Key, str]:
    return index_records(
        (
            (
                _name_picture(key) if pictures else key,
                record.get("caption", str),
            )
            for record in read_table(predictions)
            for key in [record.get("image_id", (int, str))]
        ),
        predictions,
    )


def _read_coco(path: Path) -> dict[Key, list[str]]:
    truths: dict[Key, list[str]] = defaultdict(list)
    for record in read_table(path, "annotations"):
        truths[record.get("image_id", (int, str))].append(record.get("caption", str))
    return dict(truths)


def _read_karpathy(records: list[Record], path: Path) -> dict[Key, list[str]]:
    truths: dict[Key, list[str]] = {}
    for record in records:
        if record.get("split", str) == "test":
            texts = [one.get("raw", str) for one in read_entries(record, "sentences")]
            if not texts:
                raise DataError("no sentences", where=record.where)
            truths[_name_picture(record.get("filename", str))] = texts
    if not truths:
        raise DataError("no images of the test split", where=path)
    return truths


def _read_tokens(path: Path) -> dict[Key, list[str]]:
    """Lines `1000092795.jpg#0<tab>caption`."""
    truths: dict[Key, list[str]] = defaultdict(list)
    for number, line in enumerate(read_lines(path), 1):
        name, tab, text = line.partition("\t")
        if not tab or "#" not in name:
            raise DataError(
                "is not name#number, tabulator, caption", where=f"{path}, line {number}"
            )
        truths[_name_picture(name.partition("#")[0])].append(text)
    return dict(truths)


def _name_picture(key: Key) -> str:
    return PurePosixPath(str(key)).name.removesuffix(".jpg")


def _list_items(ids: list[Key], scores: captions.CaptionScores) -> dict[str, dict[str, float]]:
    return {
        str(key): {name: float(values[place]) for name, values in scores.per_image.items()}
        for place, key in enumerate(ids)
    }
