"""A params file -> Config, or one line that says what is wrong with it."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from mmicl.config.consistency import check_consistency
from mmicl.config.sections import Config
from mmicl.errors import ConfigError, UserError


def load_config(path: Path) -> Config:
    """Read and check a params file.

    Raises:
        ConfigError: The file is missing, is not YAML, or a key is unknown, missing or out of
            range; names each such key.
    """
    return check_config(read_params(path), where=path.name)


def find_profile(root: Path, name: str) -> Path:
    """The file of a profile in a checkout.

    Raises:
        UserError: There is no such profile.
    """
    path = root / "profiles" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
        raise UserError("no such profile", where=name, remedy=f"profiles/ has {known}")
    return path


def read_params(path: Path) -> dict[str, Any]:
    """Read a params file as plain values, unchecked.

    Raises:
        ConfigError: The file is missing, is not a YAML mapping, or gives a key twice.
    """
    try:
        value = YAML(typ="safe").load(path)
    except FileNotFoundError:
        raise ConfigError("no such file", where=path, remedy="run mmicl params use tiny") from None
    except DuplicateKeyError as error:
        # Its message has many lines; the first is: found duplicate key "coco" with value …
        key = str(error.problem).split('"')[1]
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(
            f"the key {key} stands twice",
            where=f"{path.name}, line {line}",
            remedy="remove one; the second would silently replace the first",
        ) from None
    except YAMLError as error:
        raise ConfigError(f"not YAML ({error})", where=path.name) from None
    if not isinstance(value, dict):
        raise ConfigError("not a mapping", where=path.name)
    return value


def check_config(value: dict[str, Any], where: str) -> Config:
    """Turn plain values into a Config, and check what one section says of another.

    Raises:
        ConfigError: As `load_config`.
    """
    try:
        config = Config.model_validate(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {_explain(item)}" for item in error.errors()
        )
        raise ConfigError(problems, where=where) from None
    check_consistency(config, where)
    return config


def _explain(item: Any) -> str:
    """Say what is wrong with one key, with the value that was given where that helps."""
    if item["type"] == "extra_forbidden":
        return "unknown key"
    if item["type"] == "missing":
        return "missing"
    return f"{item['msg'][0].lower()}{item['msg'][1:]}, got {item['input']!r}"
