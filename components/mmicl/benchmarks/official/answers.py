"""Written answers: POPE, MME, the VQA family, A-OKVQA and ST-VQA, in their official files."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmicl.benchmarks.official.reading import (
    Record,
    Scored,
    index_records,
    need_references,
    pick_file,
    read_answers,
    read_lines,
    read_mapping,
    read_table,
    refuse_unknown,
)
from mmicl.benchmarks.scorers import anls, aokvqa, mme, pope, vqa
from mmicl.errors import DataError, UserError

_CONVERTED = "val_annotations_vqa_format.json"
_NO_TYPES = {"question_type": "none of the above", "answer_type": "other"}


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
        warnings=[f"{name}: {note}" for name, one in scored.items() for note in one.warnings],
        written=[text for one in scored.values() for text in one.written],
    )


def _score_pope_file(predictions: Path, references: Path) -> Scored:
    answers, questions = read_table(predictions), read_table(references)
    if len(answers) != len(questions):
        raise DataError(f"{len(answers)} answers for {len(questions)} questions", where=predictions)
    for answer, question in zip(answers, questions, strict=True):
        _compare_questions(answer, question, references.name)
    texts = [answer.get("answer", str) for answer in answers]
    counts = pope.count(texts, [question.get("label", str) for question in questions])
    confusion = {"TP": counts.tp, "FP": counts.fp, "TN": counts.tn, "FN": counts.fn}
    warnings = []
    if silent := sum("question" not in answer.value for answer in answers):
        warnings.append(
            f"{silent} answers do not repeat their question: that they are those of "
            f"{references.name}, in its order, cannot be checked"
        )
    if not counts.tp + counts.fp:
        warnings.append("no answer was yes: precision is not defined, given as 0")
    return Scored(
        n=len(texts),
        metrics={**confusion, **pope.score(counts)},
        per_item={str(place): pope.says_yes(text) for place, text in enumerate(texts)},
        warnings=warnings,
        written=texts,
    )


def _compare_questions(answer: Record, question: Record, references: str) -> None:
    """See that an answer is that of a question, as far as it says whose it is.

    The three settings number their questions alike and ask about the same pictures in the same
    order, so that the question's text alone tells one from another.

    Raises:
        DataError: Its question is another, or, where it does not repeat that, its picture.
    """
    text, image = question.get("text", str), question.value.get("image")
    if "question" in answer.value:
        key, said, asked = "question", answer.value["question"], text
    elif image is not None and "image" in answer.value:
        key, said, asked = "image", Path(str(answer.value["image"])).name, Path(str(image)).name
    else:
        return
    if said != asked:
        raise DataError(
            f"the {key} is not {asked!r}, which stands at this place of {references}",
            where=answer.where,
            remedy="answers must be in the order of the questions",
        )


def score_vqav2(predictions: Path, references: Path | None) -> Scored:
    """A results file `[{question_id, answer}]` against v2_mscoco_val2014_annotations.json."""
    return _score_vqa(predictions, references, "v2_mscoco_val2014_annotations.json")


def score_okvqa(predictions: Path, references: Path | None) -> Scored:
    """A results file `[{question_id, answer}]` against mscoco_val2014_annotations.json."""
    return _score_vqa(predictions, references, "mscoco_val2014_annotations.json")


def score_textvqa(predictions: Path, references: Path | None) -> Scored:
    """`[{question_id, answer}]` against TextVQA_0.5.1_val.json, or annotations of VQA's form."""
    return _score_vqa(
        predictions, references, "TextVQA_0.5.1_val.json", "TextVQA_*_val.json", _CONVERTED
    )


def score_vizwiz(predictions: Path, references: Path | None) -> Scored:
    """`[{image, answer}]` against Annotations/val.json, whose questions have no other ids.

    Or `[{question_id, answer}]` against annotations of VQA's form, which numbers them.
    """
    need_references(references, "Annotations/val.json")
    first = read_table(predictions)[0].value
    if "question_id" in first or "image" not in first:
        return _score_vqa(predictions, references, _CONVERTED)
    return _score_vqa(predictions, references, "val.json", "Annotations/val.json", key="image")


def _score_vqa(
    predictions: Path, references: Path | None, *names: str, key: str = "question_id"
) -> Scored:
    """The answers by `key` against an annotations file, in a folder that of the first name."""
    path = pick_file(need_references(references, names[0]), *names, "*annotations*.json")
    truths = [_read_annotation(one, key) for one in read_table(path, "annotations", "data")]
    wanted = index_records(((truth.question_id, truth) for truth in truths), path)
    answers = read_answers(predictions, key)
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
        written=answers.values(),
    )


def _read_annotation(record: Record, key: str) -> vqa.Annotation:
    """A question of VQA's form, or of TextVQA's own (answers as texts) or VizWiz's own.

    Types that they do not have are those that VQA's form gives to questions of no type.
    """
    texts: list[Any] = [
        entry.get("answer") if isinstance(entry, dict) else entry
        for entry in record.get("answers", list)
    ]
    if not texts or not all(isinstance(text, str) for text in texts):
        message = "answers are not a list of texts, or of objects with answer"
        raise DataError(message, where=record.where)
    kinds = Record(record.where, {**_NO_TYPES, **record.value})
    return vqa.Annotation(
        question_id=record.get(key, (int, str)),
        answers=texts,
        question_type=kinds.get("question_type", str),
        answer_type=kinds.get("answer_type", str),
    )


def score_mme(predictions: Path, references: Path | None) -> Scored:
    """A folder of `<sub-task>.txt`: picture, question, right answer, answer, by tabulators."""
    if references is not None:
        raise UserError("MME's files carry the right answers", remedy="leave out --references")
    known = (*mme.PERCEPTION, *mme.COGNITION)
    files = [predictions / f"{name}.txt" for name in known]
    if not any(path.exists() for path in files):
        raise UserError("no results (existence.txt, count.txt, …)", where=predictions)
    found = {path.stem: _read_mme(path) for path in files if path.exists()}
    _refuse_shared(found, predictions)
    subtasks = {name: list(answers.values()) for name, answers in found.items()}
    try:
        metrics = mme.score(subtasks)
    except ValueError as error:
        raise DataError(str(error), where=predictions) from None
    warnings = [
        f"{name}: {2 * mme.PICTURES[name] - len(answers)} of {2 * mme.PICTURES[name]} answers are "
        "missing, not scored"
        for name, answers in subtasks.items()
        if len(answers) < 2 * mme.PICTURES[name]
    ]
    if missing := [name for name in known if name not in subtasks]:
        warnings.append(f"no files for {', '.join(missing)}: totals over them are left out")
    return Scored(
        n=sum(map(len, subtasks.values())),
        metrics=metrics,
        per_item={
            name: [mme.parse_answer(answer.prediction) for answer in answers]
            for name, answers in subtasks.items()
        },
        warnings=warnings,
        written=[answer.prediction for answers in subtasks.values() for answer in answers],
    )


def _refuse_shared(subtasks: Mapping[str, Iterable[tuple[str, str]]], predictions: Path) -> None:
    """See that no question stands in the files of two sub-tasks.

    MME's own files share pictures, but no question about one: a file under another's name would.
    """
    owners: dict[tuple[str, str], str] = {}
    for name, asked in subtasks.items():
        for picture, question in asked:
            owner = owners.setdefault((picture, question), name)
            if owner != name:
                raise DataError(
                    f"{picture}, {question!r} stands in {owner}.txt and in {name}.txt",
                    where=predictions,
                    remedy="give each sub-task its own answers",
                )


def _read_mme(path: Path) -> dict[tuple[str, str], mme.Answer]:
    """The answers by picture and question, in the file's order."""
    answers: dict[tuple[str, str], mme.Answer] = {}
    most = 2 * mme.PICTURES[path.stem]
    for number, line in enumerate(read_lines(path), 1):
        columns = line.split("\t")
        if len(columns) != 4:
            raise DataError(
                f"{len(columns)} columns, not 4 (picture, question, right answer, answer)",
                where=f"{path}, line {number}",
            )
        if (columns[0], columns[1]) in answers:
            message = f"{columns[0]}, {columns[1]!r} stands twice"
            raise DataError(message, where=f"{path}, line {number}", remedy="give each once")
        answers[columns[0], columns[1]] = mme.Answer(columns[0], columns[2], columns[3])
    if not answers:
        raise DataError("no lines", where=path)
    if len(answers) > most:
        raise DataError(f"{len(answers)} lines, but there are {most} questions", where=path)
    return answers


def score_stvqa(predictions: Path, references: Path | None) -> Scored:
    """`[{question_id, answer}]` against a task's file (`data`, each with `answers`)."""
    path = pick_file(need_references(references, "train_task_3.json"), "*task*.json")
    wanted = index_records(
        (
            (record.get("question_id", (int, str)), _read_texts(record, "answers"))
            for record in read_table(path, "data")
        ),
        path,
    )
    answers = read_answers(predictions)
    refuse_unknown(answers, wanted, predictions)
    values = {str(key): anls.similarity(answers[key], right) for key, right in wanted.items()}
    metrics = {"ANLS": sum(values.values()) / len(values)}
    return Scored(len(values), metrics, dict(values), written=answers.values())


def score_aokvqa(predictions: Path, references: Path | None) -> Scored:
    """`{question_id: {multiple_choice, direct_answer}}` against aokvqa_v1p0_val.json.

    Either may be left out. Also the files of one setting, `{question_id: text}`, named …-mc.json
    and …-da.json as officially, or a folder of both.
    """
    path = pick_file(need_references(references, "aokvqa_v1p0_val.json"), "aokvqa_*_val.json")
    questions = index_records(
        (
            (
                record.get("question_id", str),
                aokvqa.Question(
                    choices=_read_texts(record, "choices"),
                    correct=record.get("correct_choice_idx", int),
                    answers=_read_texts(record, "direct_answers"),
                    difficult=record.get("difficult_direct_answer", bool),
                ),
            )
            for record in read_table(path)
        ),
        path,
    )
    chosen, written = _read_aokvqa(predictions)
    metrics, per_item, warnings = {}, {}, []
    for name, answers in {"MC": chosen, "DA": written}.items():
        if not answers:
            continue
        if unknown := [key for key in answers if key not in questions]:
            message = f"{len(unknown)} unknown questions, the first is {unknown[0]}"
            raise DataError(message, where=predictions)
        judge = aokvqa.score_choices if name == "MC" else aokvqa.score_answers
        values = judge(answers, questions)
        metrics[name] = sum(values.values()) / len(values) * 100 if values else 0.0
        per_item[name] = values
        if missing := [key for key in values if key not in answers]:
            warnings.append(f"{name}: {len(missing)} of {len(values)} have no prediction, wrong")
    if others := sum(text not in questions[key].choices for key, text in chosen.items()):
        warnings.append(f"MC: {others} predictions are none of the choices, wrong")
    return Scored(len(questions), metrics, per_item, warnings, written.values())


def _read_aokvqa(predictions: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The choices and the direct answers of a file, or of a folder of files of one setting."""
    if predictions.is_dir():
        files = [*predictions.glob("*-mc.json"), *predictions.glob("*-da.json")]
        if not files or len({path.stem[-3:] for path in files}) != len(files):
            message = f"{len(files)} files named …-mc.json and …-da.json, not one of each"
            raise UserError(message, where=predictions)
        pairs = [_read_aokvqa(path) for path in files]
        return ({**pairs[0][0], **pairs[-1][0]}, {**pairs[0][1], **pairs[-1][1]})
    found: dict[str, dict[str, str]] = {"multiple_choice": {}, "direct_answer": {}}
    settings = {"-mc": "multiple_choice", "-da": "direct_answer"}
    for key, value in read_mapping(predictions).items():
        where = f"{predictions}, {key}"
        if isinstance(value, str):
            if predictions.stem[-3:] not in settings:
                raise DataError(
                    "bare answers do not say for which setting they are",
                    where=where,
                    remedy="name the file …-mc.json or …-da.json",
                )
            found[settings[predictions.stem[-3:]]][key] = value
            continue
        record = Record(where, value if isinstance(value, dict) else {})
        given = [name for name in found if name in record.value]
        if not given:
            raise DataError("no multiple_choice or direct_answer", where=where)
        for name in given:
            found[name][key] = record.get(name, str)
    return found["multiple_choice"], found["direct_answer"]


def _read_texts(record: Record, key: str) -> list[str]:
    texts = record.get(key, list)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{key} is not a list of texts", where=record.where)
    return texts
