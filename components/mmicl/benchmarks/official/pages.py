"""WebSRC in its official files."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmicl.benchmarks.official.reading import (
    Record,
    Scored,
    index_records,
    need_references,
    pick_file,
    read_csv,
    read_entries,
    read_file,
    read_mapping,
    read_table,
    refuse_unknown,
)
from mmicl.benchmarks.scorers import websrc
from mmicl.errors import DataError, UserError

_WEBSITE = slice(0, 4)
_PAGE = slice(2, 9)
_SPLITS = "dataset_split.json"


@dataclass(frozen=True)
class _Question:
    """`answers` are text, tag and the addition for yes/no questions; `page` is within the data."""

    page: str
    answers: list[tuple[str, int, int]]


def score_websrc(predictions: Path, references: Path | None) -> Scored:
    """`{id: answer}`, or a folder of predictions_….json and tag_predictions_….json (`{id: tags}`).

    References are the dataset's folder (`DOMAIN/NN/dataset.csv` and `processed_data/*.html`), with
    or without the SQuAD-style file that the baseline makes of it, or that file alone. The path
    overlap (pos) is computed where tags are predicted and the pages are there.
    """
    references = need_references(references, "the dataset's folder")
    questions = _read_questions(references)
    texts, tags = _read_predictions(predictions)
    refuse_unknown(texts, questions, predictions)
    root = references if references.is_dir() else references.parent
    scores: dict[str, dict[str, float]] = {}
    for key, question in questions.items():
        right = [text for text, _, _ in question.answers if websrc.normalise(text)] or [""]
        scores[key] = {
            "exact": max(websrc.exact(text, texts[key]) for text in right),
            "f1": max(websrc.f1(text, texts[key]) for text in right),
        }
    missing = {}
    if tags is None:
        missing["pos"] = "needs tag_predictions_….json beside the answers"
    else:
        refuse_unknown(tags, questions, predictions)
        _score_paths(root, questions, tags, scores)
    return Scored(
        n=len(questions),
        metrics={**_sum_up(scores, questions), **({"not_computed": missing} if missing else {})},
        per_item=scores,
        written=texts.values(),
    )


def _score_paths(
    root: Path,
    questions: Mapping[str, _Question],
    tags: Mapping[str, list[int]],
    scores: dict[str, dict[str, float]],
) -> None:
    """Add `pos`; each page is read once."""
    pages = defaultdict(list)
    for key, question in questions.items():
        pages[question.page].append(key)
    for page, keys in pages.items():
        tree = websrc.read_tree(read_file(root / page))
        for key in keys:
            answers = questions[key].answers
            overlaps = [websrc.pos(tree, tag, more, tags[key]) for _, tag, more in answers]
            scores[key]["pos"] = max(overlaps, default=0.0)


def _sum_up(
    scores: Mapping[str, Mapping[str, float]], questions: Mapping[str, _Question]
) -> dict[str, float]:
    """Percent over all, over those with and without an answer, and by website (`bo01_exact`)."""
    groups: dict[str, list[str]] = defaultdict(list)
    for key, question in questions.items():
        groups[""].append(key)
        groups["HasAns_" if question.answers else "NoAns_"].append(key)
        groups[f"{key[_WEBSITE]}_"].append(key)
    found: dict[str, float] = {}
    for group, keys in groups.items():
        for name in scores[keys[0]]:
            found[group + name] = 100.0 * sum(scores[key][name] for key in keys) / len(keys)
        found[f"{group}total"] = len(keys)
    return found


def _read_predictions(predictions: Path) -> tuple[dict[str, str], dict[str, list[int]] | None]:
    tags = None
    path = predictions
    if predictions.is_dir():
        path = pick_file(predictions, "predictions*.json")
        if any(predictions.glob("tag_predictions*.json")):
            tag_file = pick_file(predictions, "tag_predictions*.json")
            tags = {}
            for key, value in read_mapping(tag_file).items():
                if not isinstance(value, list) or not all(type(one) is int for one in value):
                    raise DataError("is not a list of tag numbers", where=f"{tag_file}, {key}")
                tags[key] = value
    texts = read_mapping(path)
    for key, value in texts.items():
        if not isinstance(value, str):
            raise DataError(f"{value!r} is not a text", where=f"{path}, {key}")
    return texts, tags


def _read_questions(references: Path) -> dict[str, _Question]:
    if references.is_file():
        return _read_squad(references)
    if squad := [path for path in references.glob("*.json") if path.name != _SPLITS]:
        return _read_squad(squad[0] if len(squad) == 1 else pick_file(references, "*.json"))
    tables = sorted(references.glob("*/*/dataset.csv"))
    if not tables:
        raise UserError("no DOMAIN/NN/dataset.csv in the folder", where=references)
    return index_records((pair for path in tables for pair in _read_table(path)), references)


def _read_table(path: Path) -> list[tuple[str, _Question]]:
    found = []
    for record in read_csv(path):
        key = record.get("id", str)
        folder = path.parent.relative_to(path.parents[2]).as_posix()
        page = f"{folder}/processed_data/{key[_PAGE]}.html"
        answer = (record.get("answer", str), *_read_place(record))
        found.append((key, _Question(page, [answer])))
    return found


def _read_squad(path: Path) -> dict[str, _Question]:
    questions: list[tuple[str, _Question]] = []
    for domain in read_table(path, "data"):
        for website in read_entries(domain, "websites"):
            number = website.get("page_id", str)
            page = f"{domain.get('domain', str)}/{number[:2]}/processed_data/{number}.html"
            for question in read_entries(website, "qas"):
                answers: list[Any] = [
                    (answer.get("text", str), *_read_place(answer))
                    for answer in read_entries(question, "answers")
                ]
                questions.append((question.get("id", str), _Question(page, answers)))
    return index_records(questions, path)


def _read_place(record: Record) -> tuple[int, int]:
    """`element_id` and `answer_start`, which a table gives as text."""
    values = [record.get(name, (int, str)) for name in ("element_id", "answer_start")]
    try:
        tag, start = map(int, values)
    except ValueError:
        raise DataError(f"element_id, answer_start are {values}", where=record.where) from None
    return tag, start
