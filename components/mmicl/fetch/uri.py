"""Source URIs: where a dataset's official files come from.

`world://NAME?n=…&seed=…[&test=…]` is rendered, `FOLDER` lies in the repository,
`alias://NAME/FOLDER` lies outside it, below the folder that the environment variable
MMICL_SOURCE_<NAME> names: an absolute path of one machine must not enter params.yaml, dvc.lock or a
manifest. Folders and aliases take `?include=GLOB,GLOB` (relative, `**` crosses folders), so that a
dataset copies only what it needs.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import parse_qsl

from mmicl.errors import UserError

ALIAS_VARIABLE = "MMICL_SOURCE_"
DEFAULT_SEED = 0
"""Of a world whose URI names none."""
READS = "this build reads world://NAME, a folder of the repository and alias://NAME/FOLDER"


@dataclass(frozen=True)
class Source:
    """A parsed source URI. `path` is relative; `options` are a world's numbers."""

    uri: str
    kind: Literal["world", "folder", "alias"]
    name: str
    path: PurePosixPath
    include: tuple[str, ...]
    options: dict[str, int]

    @property
    def origin(self) -> str:
        """Where the files come from, in words, without any path of this machine."""
        if self.kind == "world":
            options = ", ".join(f"{key}={value}" for key, value in sorted(self.options.items()))
            return f"procedural world {self.name} ({options})"
        if self.kind == "alias":
            return f"folder {self.path} of the source {self.name}"
        return f"folder {self.path} of the repository"


def parse_source(uri: str) -> Source:
    """Take a source URI apart.

    Raises:
        UserError: Unknown scheme, an option that the scheme does not have or whose value is not
            a number, an absolute path, or one that leads out of its folder.
    """
    address, _, query = uri.partition("?")
    scheme, separator, rest = address.partition("://")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    if not separator:
        include = _parse_include(uri, pairs)
        return Source(uri, "folder", "", _relative(uri, address), include, {})
    name, _, path = rest.partition("/")
    if scheme == "world":
        return Source(uri, "world", name, PurePosixPath(path), (), _parse_numbers(uri, pairs))
    if scheme == "alias":
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise UserError("an alias is named in capitals, such as alias://DATA/coco", where=uri)
        include = _parse_include(uri, pairs)
        return Source(uri, "alias", name, _relative(uri, path), include, {})
    raise UserError(f"{scheme}:// is not read yet", where=uri, remedy=READS)


def locate_folder(source: Source, root: Path) -> Path:
    """The folder that a folder or alias source names on this machine.

    Raises:
        UserError: The alias's variable is not set, or the folder does not exist or leaves `root`.
    """
    if source.kind == "alias":
        variable = ALIAS_VARIABLE + source.name
        base = os.environ.get(variable)
        if not base:
            remedy = f"export {variable}=FOLDER, the folder that holds {source.path}"
            raise UserError(f"{variable} is not set", where=source.uri, remedy=remedy)
        root = Path(base).expanduser().resolve()
        remedy = f"check {variable} (now {base})"
    else:
        root = root.resolve()
        remedy = "check datasets.*.source in params.yaml"
    folder = (root / source.path).resolve()
    if not folder.is_relative_to(root):
        raise UserError("a symbolic link leads out of the source folder", where=source.uri)
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}", where=source.uri, remedy=remedy)
    return folder


def _relative(uri: str, text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if path.is_absolute():
        remedy = f"export {ALIAS_VARIABLE}NAME={path.parent} and write alias://NAME/{path.name}"
        raise UserError("an absolute path is one machine's own", where=uri, remedy=remedy)
    if ".." in path.parts:
        raise UserError("the path leads out of its folder (..)", where=uri, remedy="use alias://")
    return path


def _parse_include(uri: str, pairs: dict[str, str]) -> tuple[str, ...]:
    if unknown := sorted(set(pairs) - {"include"}):
        raise UserError(f"unknown option {', '.join(unknown)}; a folder takes include", where=uri)
    patterns = tuple(part for part in pairs.get("include", "").split(",") if part)
    if "include" in pairs and not patterns:
        raise UserError("include names no pattern", where=uri)
    for pattern in patterns:
        if pattern.startswith("/") or ".." in PurePosixPath(pattern).parts:
            raise UserError(f"include leads out of the folder: {pattern}", where=uri)
    return patterns


def _parse_numbers(uri: str, pairs: dict[str, str]) -> dict[str, int]:
    numbers = {"seed": DEFAULT_SEED}
    for key, value in pairs.items():
        if not re.fullmatch(r"\d+", value):
            raise UserError(f"{key} is not a whole number: {value!r}", where=uri)
        numbers[key] = int(value)
    return numbers
