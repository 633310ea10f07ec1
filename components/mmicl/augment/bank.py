"""The bank that ships with the package, and the file that the later stages read."""

import json
from collections.abc import Iterable
from pathlib import Path

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
