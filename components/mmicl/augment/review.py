"""A person's part: reading the paraphrases that wait, and accepting some into the bank."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmicl.augment.bank import accept, accepted_templates, shipped_bank
from mmicl.errors import DataError, UserError
from mmicl.files import read_json
from mmicl.paths import Paths
from mmicl.records import Template


def read_waiting(paths: Paths) -> list[Template]:
    """The paraphrases that wait for review: of the stage's report, less those accepted since.

    Raises:
        DataError: There is no report, or it is not one.
    """
    path = paths.paraphrases
    if not path.exists():
        raise DataError("no such file", where=path, remedy="run mmicl stage augment")
    try:
        waiting = [Template.model_validate(value) for value in read_json(path)["waiting"]]
    except (KeyError, TypeError, ValidationError):
        raise DataError("not a report", where=path, remedy="run mmicl stage augment") from None
    accepted = {template.id for template in accepted_templates(paths.accepted)}
    return [template for template in waiting if template.id not in accepted]


def accept_waiting(paths: Paths, patterns: Sequence[str]) -> tuple[int, Path]:
    """Write the paraphrases that fit a pattern into the file of those accepted.

    Args:
        paths: The checkout.
        patterns: Ids, or ids with `*`: `vqa-03-*` are all paraphrases of one template.

    Returns:
        How many, and the file.

    Raises:
        UserError: A pattern fits none that waits.
        DataError: As `read_waiting`, or the file of those accepted is damaged.
    """
    waiting = read_waiting(paths)
    for pattern in patterns:
        if not any(fnmatchcase(template.id, pattern) for template in waiting):
            raise UserError(
                "no paraphrase of that id waits for review",
                where=pattern,
                remedy="mmicl bank lists those that do",
            )
    chosen = [one for one in waiting if any(fnmatchcase(one.id, each) for each in patterns)]
    accept(paths.accepted, chosen)
    return len(chosen), paths.accepted


def print_waiting(paths: Paths, console: Console) -> None:
    """Each template that has paraphrases waiting, and those below it with their ids.

    Raises:
        DataError: As `read_waiting`.
    """
    waiting = read_waiting(paths)
    accepted = len(accepted_templates(paths.accepted))
    hand = {one.id: one.text for some in shipped_bank().values() for one in some}
    table = Table("id", "text", box=None)
    for parent, group in groupby(waiting, key=lambda one: one.id.rpartition("-")[0]):
        table.add_row(Text(parent, style="bold"), Text(hand.get(parent, ""), style="bold"))
        for template in group:
            table.add_row(template.id, Text(template.text))
    if waiting:
        console.print(table)
    console.print(f"{len(hand)} by hand, {accepted} accepted, {len(waiting)} waiting for review")
