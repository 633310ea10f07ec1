"""Choices: NExT-QA, ScienceQA, VCR, RAVEN, IconQA, BLINK, Winoground, in their official files."""

from collections.abc import Callable
from pathlib import Path

from mmicl.benchmarks.official.reading import (
    Record,
    Scored,
    compare_ids,
    index_records,
    need_references,
    parse_digits,
    pick_file,
    read_choice,
    read_csv,
    read_mapping,
    read_number,
    read_score,
    read_table,
    refuse_unknown,
    warn_of_choices,
)
from mmicl.benchmarks.scorers import blink, choice, iconqa, nextqa, scienceqa
from mmicl.benchmarks.scorers import winoground as pairs
from mmicl.errors import DataError, UserError


def score_nextqa(predictions: Path, references: Path | None) -> Scored:
    """`{video_qid: {prediction, answer}}`, or `{video_qid: number}`, against val.csv."""
    path = pick_file(need_references(references, "val.csv"), "val.csv", "test.csv")
    truths = []
    for record in read_csv(path):
        kind, answer = record.get("type", str), record.get("answer", str)
        number = parse_digits(answer)
        if kind not in (*nextqa.TYPES, "TN", "TP") or number is None:
            raise DataError(f"type {kind!r}, answer {answer!r}", where=record.where)
        key = f"{record.get('video', str)}_{record.get('qid', str)}"
        truths.append(nextqa.Question(key, kind, number))
    wanted = index_records(((truth.id, truth) for truth in truths), path)
    answers = {}
    for key, value in read_mapping(predictions).items():
        where = f"{predictions}, {key}"
        entry = Record(where, value if isinstance(value, dict) else {"prediction": value})
        answers[key] = read_choice(entry.get("prediction", int), where)
        right = entry.value.get("answer")
        if right is not None and key in wanted and right != wanted[key].answer:
            message = f"says that the answer is {right}, {path.name} says {wanted[key].answer}"
            raise DataError(message, where=where)
    unknown = compare_ids(answers, wanted, predictions)
    note = f"{len(unknown)} predictions for unknown questions, passed over as officially"
    own = {key: answers[key] for key in wanted}
    return Scored(
        n=len(truths),
        metrics=dict(nextqa.score(answers, truths)),
        per_item={key: answers[key] == truth.answer for key, truth in wanted.items()},
        warnings=[
            *([note] if unknown else []),
            *warn_of_choices(own, dict.fromkeys(own, nextqa.OPTIONS)),
        ],
    )


def score_scienceqa(predictions: Path, references: Path | None) -> Scored:
    """`{"results": {id: number}}` against the test problems of problems.json.

    A file language_bias.json beside it, `{"needs_image": [id], "needs_no_image": [id]}`, adds the
    split of language bias.
    """
    path = pick_file(need_references(references, "problems.json"), "problems.json")
    needs = _read_language_bias(path.parent / "language_bias.json")
    problems, choices = {}, {}
    for key, value in read_mapping(path).items():
        record = Record(f"{path}, {key}", value if isinstance(value, dict) else {})
        if record.get("split", str) == "test":
            choices[key] = _count_choices(record)
            problems[key] = scienceqa.Problem(
                subject=record.get("subject", str),
                grade=record.get("grade", str),
                hint=bool(record.value.get("hint")),
                image=bool(record.value.get("image")),
                answer=record.get("answer", int),
                needs_image=needs.get(key),
            )
    if not problems:
        raise DataError("no problems of the test split", where=path)
    if bad := [key for key in needs if key not in problems or not problems[key].image]:
        message = f"problem {bad[0]} of language_bias.json is no test problem with a picture"
        raise DataError(message, where=path.parent)
    results = {
        key: read_choice(value, f"{predictions}, {key}")
        for key, value in read_mapping(predictions, "results").items()
    }
    refuse_unknown(results, problems, predictions)
    return Scored(
        n=len(problems),
        metrics=dict(scienceqa.score(results, problems)),
        per_item={key: results[key] == problem.answer for key, problem in problems.items()},
        warnings=warn_of_choices(results, choices),
    )


def _count_choices(record: Record) -> int | None:
    """How many choices a problem has; None where the file leaves them out."""
    choices = record.value.get("choices")
    return len(choices) if isinstance(choices, list) and choices else None


def _read_language_bias(path: Path) -> dict[str, bool]:
    """Which pictures are needed, by problem; empty without the file."""
    if not path.exists():
        return {}
    whole = Record(str(path), read_mapping(path))
    pairs = [(str(key), True) for key in whole.get("needs_image", list)]
    pairs += [(str(key), False) for key in whole.get("needs_no_image", list)]
    return index_records(pairs, path)


def score_vcr(predictions: Path, references: Path | None) -> Scored:
    """The leaderboard's CSV (annot_id, answer_0 … answer_3, …) against val.jsonl, Q -> A."""
    return _score_vcr(predictions, references, "Q->A", "answer_label", lambda _: "answer")


def score_vcr_rationale(predictions: Path, references: Path | None) -> Scored:
    """The leaderboard's CSV against val.jsonl, QA -> R: the columns of the right answer alone.

    They are `rationale_conditioned_on_a<answer>_0` to `_3` (rowanz/r2c, `eval_for_leaderboard.py`).
    """

    def name_columns(record: Record) -> str:
        return f"rationale_conditioned_on_a{record.get('answer_label', int)}"

    return _score_vcr(predictions, references, "QA->R", "rationale_label", name_columns)


def _score_vcr(
    predictions: Path,
    references: Path | None,
    metric: str,
    label: str,
    name_columns: Callable[[Record], str],
) -> Scored:
    """The column of the highest of four scores, by the name of a question's columns."""
    path = pick_file(need_references(references, "val.jsonl"), "val.jsonl", "vcr1annots/val.jsonl")
    known = index_records(
        (
            (record.get("annot_id", str), (record.get(label, int), name_columns(record)))
            for record in read_table(path)
        ),
        path,
    )

    def read(record: Record) -> tuple[str, list[float]]:
        key = record.get("annot_id", str)
        if key not in known:
            return key, []  # refused below
        return key, [read_score(record, f"{known[key][1]}_{k}") for k in range(4)]

    answers = index_records(map(read, read_csv(predictions)), predictions)
    refuse_unknown(answers, known, predictions)
    return _score_choices(answers, {key: right for key, (right, _) in known.items()}, metric)


def score_raven(predictions: Path, references: Path | None) -> Scored:
    """Lines `{"id", "scores"}` (eight numbers) against the puzzles' folder or `{"id", "target"}`.

    In a folder of official .npz files a puzzle's id is its path without the suffix, such as
    `center_single/RAVEN_7_test`; the test puzzles alone are scored.
    """
    wanted = _read_targets(need_references(references, "the puzzles' folder"))
    return _score_puzzles(predictions, wanted, _RAVEN_CANDIDATES)


def score_raven_iq(predictions: Path, references: Path | None) -> Scored:
    """Lines `{"id", "scores"}` (six numbers) against lines `{"id", "target"}` (0 to 5).

    Kosmos-1's IQ test (Huang et al., NeurIPS 2023): the model is asked about each candidate whether
    it completes the puzzle, and the one with the highest probability of yes is its answer. The
    50 puzzles come without code and prescribe no form.
    """
    path = pick_file(need_references(references, "a file of targets"), "*.jsonl", "*.json")
    return _score_puzzles(predictions, _read_targets(path), _IQ_CANDIDATES)


def _score_puzzles(predictions: Path, wanted: dict[str, int], candidates: int) -> Scored:
    if bad := [key for key, target in wanted.items() if not 0 <= target < candidates]:
        raise DataError(f"target {wanted[bad[0]]} of {bad[0]} is none of {candidates}")
    answers = index_records(
        (
            (record.get("id", str), _read_scores(record, candidates))
            for record in read_table(predictions)
        ),
        predictions,
    )
    refuse_unknown(answers, wanted, predictions)
    return _score_choices(answers, wanted, "accuracy")


def _read_scores(record: Record, candidates: int) -> list[float]:
    values = [read_number(value, record.where) for value in record.get("scores", list)]
    if len(values) != candidates:
        raise DataError(f"{len(values)} scores, not {candidates}", where=record.where)
    return values


def _read_targets(references: Path) -> dict[str, int]:
    if not references.is_dir():
        return index_records(
            (
                (record.get("id", str), record.get("target", int))
                for record in read_table(references)
            ),
            references,
        )
    import numpy as np

    targets = {}
    for path in sorted(references.rglob("RAVEN_*_test.npz")):
        try:
            with np.load(path, allow_pickle=False) as archive:
                target = int(archive["target"])
        except (ValueError, KeyError, OSError, TypeError) as error:
            raise DataError(f"not a RAVEN archive ({error})", where=path) from None
        targets[path.relative_to(references).with_suffix("").as_posix()] = target
    if not targets:
        raise UserError("no RAVEN_<number>_test.npz in the folder", where=references)
    return targets


def _score_choices(answers: dict[str, list[float]], wanted: dict[str, int], name: str) -> Scored:
    credits = {key: choice.credit(answers[key], right) for key, right in wanted.items()}
    return Scored(len(wanted), {name: sum(credits.values()) / len(wanted)}, dict(credits))


def score_iconqa(predictions: Path, references: Path | None) -> Scored:
    """`{"results": {pid: answer}}`, or a folder of such files, against the dataset's folder.

    That has problems.json, pid2skills.json and pid_splits.json; the test problems of each sub-task
    that is answered at all are wanted.
    """
    folder = need_references(references, "the folder of problems.json")
    problems, choices = _read_icons(folder)
    splits = read_mapping(pick_file(folder, "pid_splits.json"))
    files = sorted(predictions.glob("*.json")) if predictions.is_dir() else [predictions]
    given = index_records(
        (pair for path in files for pair in read_mapping(path, "results").items()), predictions
    )
    results, numbers = {}, {}
    for key, value in given.items():
        answer = Record(f"{predictions}, {key}", {"answer": value}).get("answer", (int, str))
        if key in choices:
            answer = numbers[key] = read_choice(answer, f"{predictions}, {key}")
        results[key] = str(answer)
    wanted: dict[str, iconqa.Problem] = {}
    for task in iconqa.TASKS:
        own = splits.get(f"{task}_test")
        if not isinstance(own, list) or any(
            not isinstance(key, str) or key not in problems for key in own
        ):
            message = f"{task}_test is not a list of problems"
            raise DataError(message, where=f"{folder}, pid_splits.json")
        if any(key in results for key in own):
            wanted |= {key: problems[key] for key in own}
    refuse_unknown(results, wanted, predictions)
    tasks = [task for task in iconqa.TASKS if all(one.task != task for one in wanted.values())]
    note = f"no answers for {', '.join(tasks)}: TotalAcc is without them"
    return Scored(
        n=len(wanted),
        metrics=dict(iconqa.score(results, wanted)),
        per_item={key: results[key] == problem.answer for key, problem in wanted.items()},
        warnings=[*([note] if tasks else []), *warn_of_choices(numbers, choices)],
        written=[results[key] for key in wanted],
    )


def _read_icons(folder: Path) -> tuple[dict[str, iconqa.Problem], dict[str, int | None]]:
    """All problems, and how many choices those have that are not to be filled in."""
    path = pick_file(folder, "problems.json")
    skills = read_mapping(pick_file(folder, "pid2skills.json"))
    problems, choices = {}, {}
    for key, value in read_mapping(path).items():
        record = Record(f"{path}, {key}", value if isinstance(value, dict) else {})
        task = record.get("ques_type", str)
        if task not in iconqa.TASKS:
            raise DataError(f"ques_type is {task!r}", where=record.where)
        own = Record(f"{folder}, pid2skills.json", skills).get(key, list)
        if not all(isinstance(skill, str) for skill in own):
            raise DataError(f"skills of {key} are not texts", where=f"{folder}, pid2skills.json")
        problems[key] = iconqa.Problem(task, own, str(record.get("answer", (int, str))))
        if task != "fill_in_blank":
            choices[key] = _count_choices(record)
    return problems, choices


def score_blink(predictions: Path, references: Path | None) -> Scored:
    """A folder of the official tool's outputs, `<task>.json`: `val: [{idx, answer, prediction}]`.

    Questions of the val split that a file lacks are left out and counted.
    """
    if references is not None:
        raise UserError("BLINK's outputs carry the answers", remedy="leave out --references")
    if not predictions.is_dir():
        raise UserError("no such folder", where=predictions)
    files = {path.stem.replace(" ", "_"): path for path in sorted(predictions.glob("*.json"))}
    unknown = sorted(set(files) - set(blink.TASKS))
    if not files or unknown:
        what = f"no task is called {unknown[0]}" if files else "no outputs (Counting.json, …)"
        raise UserError(what, where=predictions)
    tasks, warnings = {}, []
    for name, path in files.items():
        entries = index_records(
            ((record.get("idx", str), record) for record in read_table(path, "val")), path
        )
        tasks[name] = {
            key: (record.get("prediction", str), record.get("answer", str))
            for key, record in entries.items()
        }
        own = [f"val_{name}_{number}" for number in range(1, blink.TASKS[name] + 1)]
        if strange := [key for key in entries if key not in own]:
            message = f"idx {strange[0]!r} is none of {own[0]} to {own[-1]}"
            raise DataError(message, where=entries[strange[0]].where)
        if missing := len(own) - len(entries):
            warnings.append(f"{name}: {missing} of {len(own)} questions are missing, not scored")
    if missing := len(blink.TASKS) - len(tasks):
        warnings.append(f"{missing} of {len(blink.TASKS)} tasks are missing: no Total")
    return Scored(
        n=sum(map(len, tasks.values())),
        metrics=dict(blink.score({name: list(pairs.values()) for name, pairs in tasks.items()})),
        per_item={
            key: one == other for task in tasks.values() for key, (one, other) in task.items()
        },
        warnings=warnings,
        written=[said for task in tasks.values() for said, _ in task.values()],
    )


def score_winoground(predictions: Path, references: Path | None) -> Scored:
    """Lines `{"label": "17_c0_i1", "score": 0.3}` (the published model scores' form).

    Without references the items are those of the dataset, 0 to 399; those without scores are left
    out and counted.
    """
    scores: dict[tuple[int, int, int], float] = index_records(
        (_read_pair(record) for record in read_table(predictions)), predictions
    )
    wanted, missing = sorted({item for item, _, _ in scores if item < pairs.ITEMS}), 0
    if references is None:
        missing = pairs.ITEMS - len(wanted)
    else:
        path = pick_file(references, "examples.jsonl", "data/examples.jsonl")
        wanted = [record.get("id", int) for record in read_table(path)]
    cells = [(item, c, i) for item in wanted for c in (0, 1) for i in (0, 1)]
    refuse_unknown(scores, cells, predictions)
    tables = [[[scores[item, c, i] for i in (0, 1)] for c in (0, 1)] for item in wanted]
    return Scored(
        n=len(tables),
        metrics=dict(pairs.score(tables)),
        per_item={
            str(item): {"text": pairs.text_correct(table), "image": pairs.image_correct(table)}
            for item, table in zip(wanted, tables, strict=True)
        },
        warnings=[f"{missing} of {pairs.ITEMS} items have no scores, not scored"]
        if missing
        else [],
    )


def _read_pair(record: Record) -> tuple[tuple[int, int, int], float]:
    label = record.get("label", str)
    parts = label.split("_")
    item = parse_digits(parts[0])
    if item is None or parts[1:] not in _PAIRS:
        raise DataError(f"label {label!r} is not like 17_c0_i1", where=record.where)
    return (item, int(parts[1][1]), int(parts[2][1])), read_score(record, "score")


_RAVEN_CANDIDATES, _IQ_CANDIDATES = 8, 6
_PAIRS = [[f"c{caption}", f"i{image}"] for caption in (0, 1) for image in (0, 1)]
