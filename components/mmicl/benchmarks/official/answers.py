"""Written answers: POPE, MME, the VQA family and captions, in their official files."""

from collections import defaultdict
from pathlib import Path

from mmicl.benchmarks.official.reading import (
    Scored,
    index_records,
    need_references,
    pick_file,
    read_file,
    read_table,
    refuse_unknown,
)
from mmicl.benchmarks.scorers import caption as captions
from mmicl.benchmarks.scorers import mme, pope, vqa
from mmicl.errors import DataError, UserError


def score_pope(predictions: Path, references: Path | None) -> Scored:
    """Answer files (JSON Lines, `answer`, in the questions' order), one or a folder of them.

    A folder's files are scored one by one against the references of the same name.
    """
    references = need_references(references, "coco_pope_random.json")
    if predictions.is_file():
        return _score_pope_file(predictions, pick_file(references, f"{predictions.stem}.json*"))
    files = sorted([*predictions.glob("*.json"), *predictions.glob("*.jsonl")])
    if not files:
        raise UserError("no answer files (*.jsonl)", where=predictions)
    scored = {
        path.stem: _score_pope_file(path, pick_file(references, f"{path.stem}.json*"))
        for path in files
    }
    return Scored(
        n=sum(one.n for one in scored.values()),
        metrics={name: one.metrics for name, one in scored.items()},
        per_item={name: one.per_item for name, one in scored.items()},
    )


def _score_pope_file(predictions: Path, references: Path) -> Scored:
    answers, questions = read_table(predictions), read_table(references)
    if len(answers) != len(questions):
        raise DataError(f"{len(answers)} answers for {len(questions)} questions", where=predictions)
    for answer, question in zip(answers, questions, strict=True):
        asked = question.get("text", str)
        if answer.value.get("question", asked) != asked:
            raise DataError(
                f"the question is not {asked!r}, which stands at this place of {references.name}",
                where=answer.where,
                remedy="answers must be in the order of the questions",
            )
    texts = [answer.get("answer", str) for answer in answers]
    counts = pope.count(texts, [question.get("label", str) for question in questions])
    confusion = {"TP": counts.tp, "FP": counts.fp, "TN": counts.tn, "FN": counts.fn}
    warnings = []
    if not counts.tp + counts.fp:
        warnings.append("no answer was yes: precision is not defined, given as 0")
    return Scored(
        n=len(texts),
        metrics={**confusion, **pope.score(counts)},
        per_item={str(place): pope.says_yes(text) for place, text in enumerate(texts)},
        warnings=warnings,
    )


def score_vqa(predictions: Path, references: Path | None) -> Scored:
    """A results file `[{question_id, answer}]` against an annotations file of the VQA format.

    Where annotations carry no `answer_type` (TextVQA, VizWiz), it is taken as `other`.
    """
    annotations = pick_file(
        need_references(references, "the annotations file"), "*annotations*.json"
    )
    truths = []
    for record in read_table(annotations, "annotations"):
        answers = record.get("answers", list)
        if not answers or not all(
            isinstance(entry, dict) and isinstance(entry.get("answer"), str) for entry in answers
        ):
            raise DataError("answers are not a list of objects with answer", where=record.where)
        kind = str(record.value.get("answer_type", "other"))
        key = record.get("question_id", (int, str))
        texts = [entry["answer"] for entry in answers]
        truths.append(vqa.Annotation(key, texts, record.get("question_type", str), kind))
    wanted = index_records(((truth.question_id, truth) for truth in truths), annotations)
    answers = index_records(
        (
            (record.get("question_id", (int, str)), record.get("answer", str))
            for record in read_table(predictions)
        ),
        predictions,
    )
    refuse_unknown(answers, wanted, predictions)
    scores = vqa.score(answers, truths)
    return Scored(
        n=len(truths),
        metrics={
            "overall": scores.overall,
            "perQuestionType": scores.per_question_type,
            "perAnswerType": scores.per_answer_type,
        },
        per_item={str(key): value for key, value in scores.per_question.items()},
    )


def score_mme(predictions: Path, references: Path | None) -> Scored:
    """A folder of `<sub-task>.txt`: picture, question, right answer, answer, by tabulators."""
    if references is not None:
        raise UserError("MME's files carry the right answers", remedy="leave out --references")
    known = (*mme.PERCEPTION, *mme.COGNITION)
    files = [predictions / f"{name}.txt" for name in known]
    if not any(path.exists() for path in files):
        raise UserError("no results (existence.txt, count.txt, …)", where=predictions)
    subtasks = {path.stem: _read_mme(path) for path in files if path.exists()}
    try:
        metrics = mme.score(subtasks)
    except ValueError as error:
        raise DataError(str(error), where=predictions) from None
    missing = [name for name in known if name not in subtasks]
    note = f"no files for {', '.join(missing)}: totals over them are left out"
    return Scored(
        n=sum(map(len, subtasks.values())),
        metrics=metrics,
        per_item={
            name: [mme.parse_answer(answer.prediction) for answer in answers]
            for name, answers in subtasks.items()
        },
        warnings=[note] if missing else [],
    )


def _read_mme(path: Path) -> list[mme.Answer]:
    answers = []
    for number, line in enumerate(read_file(path).splitlines(), 1):
        columns = line.split("\t")
        if len(columns) != 4:
            raise DataError(
                f"{len(columns)} columns, not 4 (picture, question, right answer, answer)",
                where=f"{path}, line {number}",
            )
        answers.append(mme.Answer(columns[0], columns[2], columns[3]))
    if not answers:
        raise DataError("no lines", where=path)
    return answers


def score_coco_caption(predictions: Path, references: Path | None) -> Scored:
    """`[{image_id, caption}]` against a COCO captions file; images with a caption are scored."""
    path = pick_file(need_references(references, "captions_val2014.json"), "captions*.json")
    truths: dict[int | str, list[str]] = defaultdict(list)
    for record in read_table(path, "annotations"):
        truths[record.get("image_id", (int, str))].append(record.get("caption", str))
    results = index_records(
        (
            (record.get("image_id", (int, str)), record.get("caption", str))
            for record in read_table(predictions)
        ),
        predictions,
    )
    if unknown := [key for key in results if key not in truths]:
        message = f"{len(unknown)} captions of images without references, the first {unknown[0]}"
        raise DataError(message, where=predictions)
    ids = sorted(results, key=lambda key: (isinstance(key, str), key))
    scores = captions.score([results[key] for key in ids], [truths[key] for key in ids])
    missing = len(truths) - len(ids)
    note = f"{missing} of {len(truths)} images have no caption and are not scored, as officially"
    return Scored(
        n=len(ids),
        metrics={**scores.overall, "not_computed": captions.NOT_COMPUTED},
        per_item={
            str(key): {name: float(values[place]) for name, values in scores.per_image.items()}
            for place, key in enumerate(ids)
        },
        warnings=[note] if missing else [],
    )
