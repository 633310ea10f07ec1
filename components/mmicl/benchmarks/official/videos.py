"""Written answers about videos: MSVD-QA, MSRVTT-QA, iVQA and open NExT-QA, in official files."""

from pathlib import Path

from mmicl.benchmarks.official.reading import (
    Record,
    Scored,
    compare_ids,
    index_records,
    need_references,
    pick_file,
    read_csv,
    read_mapping,
    read_table,
    refuse_unknown,
)
from mmicl.benchmarks.scorers import exact, video_qa, wups
from mmicl.errors import DataError

_IVQA_ANSWERS = [f"answer{number}" for number in range(1, 6)]


def score_video_qa(predictions: Path, references: Path | None) -> Scored:
    """`[{id, answer}]` against test_qa.json (`id`, `question`, `answer`), or a CSV with `qid`."""
    path = pick_file(need_references(references, "test_qa.json"), "test_qa.json", "test.csv")
    rows = read_csv(path) if path.suffix == ".csv" else read_table(path)
    name = "qid" if path.suffix == ".csv" else "id"
    wanted = index_records(
        (
            (_read_id(record, name), (record.get("question", str), record.get("answer", str)))
            for record in rows
        ),
        path,
    )
    answers = index_records(
        ((_read_id(record, "id"), record.get("answer", str)) for record in read_table(predictions)),
        predictions,
    )
    refuse_unknown(answers, wanted, predictions)
    right = {key: exact.is_right(answers[key], answer) for key, (_, answer) in wanted.items()}
    questions = {key: question for key, (question, _) in wanted.items()}
    metrics = dict(video_qa.score_by_kind(right, questions))
    return Scored(len(wanted), metrics, dict(right), written=answers.values())


def score_ivqa(predictions: Path, references: Path | None) -> Scored:
    """`{number: answer}`, where a question's number is its row in test.csv, from 0.

    The dataset prescribes no form; this is the numbering of antoyang/FrozenBiLM's results.
    """
    path = pick_file(need_references(references, "test.csv"), "test.csv", "val.csv")
    wanted = {
        str(number): [record.get(name, str) for name in _IVQA_ANSWERS]
        for number, record in enumerate(read_csv(path))
    }
    answers = {
        key: Record(f"{predictions}, {key}", {"answer": value}).get("answer", str)
        for key, value in read_mapping(predictions).items()
    }
    refuse_unknown(answers, wanted, predictions)
    credits = {key: video_qa.credit(answers[key], texts) for key, texts in wanted.items()}
    metrics = {"acc": sum(credits.values()) / len(credits)}
    return Scored(len(wanted), metrics, dict(credits), written=answers.values())


def score_nextqa_open(predictions: Path, references: Path | None) -> Scored:
    """`{video: {qid: answer}}` against the open-ended val.csv or test.csv.

    A second right answer is taken from add_reference_answer_<split>.json beside it, if there.
    """
    path = pick_file(need_references(references, "val.csv"), "val.csv", "test.csv")
    second = path.parent / f"add_reference_answer_{path.stem}.json"
    more = _read_nested(second) if second.exists() else {}
    questions = {}
    for record in read_csv(path):
        kind = record.get("type", str)
        if kind not in (*wups.TYPES, "TP"):
            raise DataError(f"type {kind!r}", where=record.where)
        key = f"{record.get('video', str)}_{record.get('qid', str)}"
        texts = [record.get("answer", str), *([more[key]] if key in more else [])]
        questions |= index_records([(key, wups.Question(kind, texts))], path)
    answers = _read_nested(predictions)
    unknown = compare_ids(answers, questions, predictions)
    wups.load_words()
    values = {key: wups.score_answer(answers[key], one) for key, one in questions.items()}
    note = f"{len(unknown)} predictions for unknown questions, passed over as officially"
    return Scored(
        n=len(questions),
        metrics=dict(wups.score(values, questions)),
        per_item=dict(values),
        warnings=[note] if unknown else [],
        written=[answers[key] for key in questions],
    )


def _read_nested(path: Path) -> dict[str, str]:
    """`{video: {qid: text}}` as `video_qid` -> text."""
    found = {}
    for video, entries in read_mapping(path).items():
        where = f"{path}, {video}"
        if not isinstance(entries, dict):
            raise DataError("is not an object of answers by qid", where=where)
        for number in entries:
            found[f"{video}_{number}"] = Record(where, entries).get(number, str)
    return found


def _read_id(record: Record, name: str) -> str:
    return str(record.get(name, (int, str)))
