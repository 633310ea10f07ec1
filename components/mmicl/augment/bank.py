"""The bank that ships with the package, what was added to it, and what the later stages read."""

import json
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mmicl.errors import DataError
from mmicl.files import write_text
from mmicl.mic.templates import check_bank
from mmicl.records import Template

SHIPPED = Path(__file__).with_name("bank.yaml")


def shipped_bank(path: Path = SHIPPED) -> dict[str, list[Template]]:
    """The instructions written by hand, all of them reviewed: task -> templates by id.

    Raises:
        DataError: The file was edited into something that is not a bank; names the template.
    """
    try:
        value = YAML(typ="safe").load(path)
        origin, licence = str(value["origin"]), str(value["licence"])
        templates = [
            Template(id=id_, task=task, text=text, origin=origin, licence=licence, reviewed=True)
            for task, texts in value["templates"].items()
            for id_, text in texts.items()
        ]
    except (YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"not an instruction bank ({error})", where=path.name) from None
    return check_bank(templates, where=path.name)


def accepted_templates(path: Path) -> list[Template]:
    """What a person accepted or added, in the file's order; none where there is no such file.

    Raises:
        DataError: An entry is not of the form id, task, text, origin, licence; names it.
    """
    if not path.exists():
        return []
    try:
        entries = list(YAML(typ="safe").load(path)["templates"])
    except (YAMLError, KeyError, TypeError) as error:
        raise DataError(f"not a list of templates ({error})", where=path.name) from None
    templates = []
    for number, entry in enumerate(entries, start=1):
        try:
            templates.append(Template.model_validate({**entry, "reviewed": True}))
        except (ValidationError, TypeError) as error:
            raise DataError(
                f"template {number} is not of the form id, task, text, origin, licence "
                f"({str(error).splitlines()[0]})",
                where=path.name,
            ) from None
    return templates


def accept(path: Path, templates: Iterable[Template]) -> None:
    """Add templates to the file of those accepted; its comments and entries stay as they are.

    Raises:
        DataError: The file is not one, or together they make no bank; then it is left alone.
    """
    added = list(templates)
    kept = accepted_templates(path)
    check_bank([*(one for some in shipped_bank().values() for one in some), *kept, *added], path)
    yaml = YAML()
    yaml.width = 1000  # a text is one line
    value = yaml.load(path) if path.exists() else {}
    entries = [template.model_dump(exclude={"reviewed"}) for template in added]
    value["templates"] = [*(value.get("templates") or []), *entries]
    stream = StringIO()
    yaml.dump(value, stream)
    write_text(path, stream.getvalue())


def write_bank(path: Path, templates: Iterable[Template]) -> int:
    """Write templates as one JSON object a line, sorted by task and id; returns how many.

    Raises:
        DataError: The templates do not make a bank (see `mmicl.mic.templates.check_bank`).
    """
    bank = check_bank(templates, where=path.name)
    lines = [
        json.dumps(template.model_dump(), ensure_ascii=False)
        for task in sorted(bank)
        for template in bank[task]
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)
