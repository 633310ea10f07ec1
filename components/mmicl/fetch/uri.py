"""Source URIs: where a dataset's official files come from.

| URI | files |
|---|---|
| `world://NAME?n=…&seed=…[&test=…]` | rendered |
| `FOLDER` | of the repository |
| `alias://NAME/FOLDER` | below the folder that the variable MMICL_SOURCE_<NAME> names |
| `https://HOST/PATH` | one file (`mmicl.fetch.web`) |
| `s3://BUCKET/PREFIX` | one object, or all below a prefix (`mmicl.fetch.buckets`) |
| `hf://datasets/OWNER/NAME[@REVISION]/PATH` | a file or folder of a dataset on the hub |

An alias keeps the absolute path of one machine out of params.yaml, dvc.lock and manifests. Several
URIs, separated by blanks, make one dataset (not with a world). Options follow a `?`, on the web a
`#`, since there the query belongs to the address:

- `include=GLOB,GLOB` takes those files alone (relative, `**` crosses folders);
- `unpack=GLOB,GLOB` unpacks those archives, `unpack=none` leaves one as it is that the URI itself
  names, which would be unpacked otherwise;
- `sha256=HEX` is what the only file of the source must hash to;
- `name=PATH` is the file's name in the dataset, where the web address does not end in one.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pathspec import PathSpec

from mmicl.errors import DataError, UserError

ALIAS_VARIABLE = "MMICL_SOURCE_"
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
DEFAULT_SEED = 0
"""Of a world whose URI names none."""
READS = "known are world, alias, https, s3, hf and a folder of the repository"
OPTIONS = {
    "folder": {"include", "unpack"},
    "alias": {"include", "unpack"},
    "web": {"unpack", "sha256", "name"},
    "s3": {"include", "unpack", "sha256"},
    "hub": {"include", "unpack", "sha256"},
}

Kind = Literal["world", "folder", "alias", "web", "s3", "hub", "several"]


@dataclass(frozen=True)
class Source:
    """A parsed source URI.

    `name` is the world, alias, host, bucket or hub dataset; `path` is relative; `options` are a
    world's numbers; `revision` is the hub's; `parts` are those of several URIs.
    """

    uri: str
    kind: Kind
    name: str
    path: PurePosixPath
    include: tuple[str, ...] = ()
    options: dict[str, int] = field(default_factory=dict)
    unpack: tuple[str, ...] = ()
    sha256: str | None = None
    revision: str | None = None
    parts: "tuple[Source, ...]" = ()

    @property
    def origin(self) -> str:
        """Where the files come from, in words, without any path of this machine."""
        if self.kind == "world":
            options = ", ".join(f"{key}={value}" for key, value in sorted(self.options.items()))
            return f"procedural world {self.name} ({options})"
        if self.kind == "alias":
            return f"folder {self.path} of the source {self.name}"
        if self.kind == "folder":
            return f"folder {self.path} of the repository"
        return "; ".join(part.origin for part in self.parts) or self.address

    @property
    def address(self) -> str:
        """The URI without the options of ours."""
        return self.uri.partition("#" if self.kind == "web" else "?")[0]

    @property
    def remote(self) -> bool:
        """Whether its files come over a network."""
        return self.kind in ("web", "s3", "hub")

    def takes(self, name: str) -> bool:
        """Whether `include` lets a file of this relative name in."""
        return not self.include or match_globs(self.include, name)

    def unpacks(self, name: str) -> bool:
        """Whether the file of this relative name is an archive to unpack."""
        return bool(self.unpack) and match_globs(self.unpack, name)


def parse_source(uri: str) -> Source:
    """Take a source URI apart.

    Raises:
        UserError: Unknown scheme, an option that the scheme does not have or whose value is
            wrong, an absolute path, or one that leads out of its folder.
    """
    if len(uris := re.split(r"\s+(?=[a-z][a-z0-9]*://)", uri.strip())) > 1:
        parts = tuple(parse_source(part) for part in uris)
        if any(part.kind == "world" for part in parts):
            raise UserError("a world is a dataset of its own", where=uri)
        return Source(uri, "several", "", PurePosixPath(), parts=parts)
    scheme, separator, _ = uri.partition("://")
    if scheme in ("https", "http") and separator:
        return _parse_web(uri)
    address, _, query = uri.partition("?")
    rest = address.partition("://")[2]
    name, _, path = rest.partition("/")
    if separator and scheme == "world":
        numbers = _parse_numbers(uri, _parse_pairs(query))
        return Source(uri, "world", name, PurePosixPath(path), options=numbers)
    if not separator:
        return _build(uri, "folder", "", address, query)
    if scheme == "alias":
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise UserError("an alias is named in capitals, such as alias://DATA/coco", where=uri)
        return _build(uri, "alias", name, path, query)
    if scheme == "s3":
        if not name:
            raise UserError("the URI names no bucket, as in s3://BUCKET/PREFIX", where=uri)
        return _build(uri, "s3", name, path, query)
    if scheme == "hf":
        form = r"datasets/([\w.-]+/[\w.-]+)(?:@([\w.-]+))?(?:/(.*))?"
        if not (match := re.fullmatch(form, rest)):
            message = "the hub's datasets are named hf://datasets/OWNER/NAME[@REVISION]/PATH"
            raise UserError(message, where=uri)
        return _build(uri, "hub", match[1], match[3] or "", query, revision=match[2])
    raise UserError(f"{scheme}:// is not a source", where=uri, remedy=READS)


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


def check_name(name: str, where: object) -> str:
    """Return a file's relative name as others gave it, if it is safe to write under.

    Raises:
        DataError: It is empty or absolute, leads out of its folder, or has signs that no
            official file's name has (control characters, backslashes).
    """
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or not all(parts) or {".", ".."} & set(parts):
        raise DataError(f"{name!r} is not a safe file name", where=where)
    return name


def match_globs(patterns: tuple[str, ...], name: str) -> bool:
    """Whether a relative name matches one of the globs, as they would match in a folder."""
    return PathSpec.from_lines("gitignore", [f"/{pattern}" for pattern in patterns]).match_file(
        name
    )


def _parse_web(uri: str) -> Source:
    address, _, fragment = uri.partition("#")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"not a web address ({error})", where=uri) from None
    if not host or not address.isascii() or not address.isprintable() or " " in address:
        raise UserError("not a web address (percent-encode other signs)", where=uri)
    if parts.username or parts.password:
        raise UserError("an address with a password in it would be written down", where=parts.path)
    name = _parse_pairs(fragment).get("name") or unquote(parts.path).rpartition("/")[2]
    if not name:
        remedy = "add #name=FILE"
        raise UserError("the address does not end in a file's name", where=uri, remedy=remedy)
    return _build(uri, "web", host, check_name(name, uri), fragment)


def _build(
    uri: str, kind: Kind, name: str, path: str, query: str, revision: str | None = None
) -> Source:
    """A source with the options that its kind takes."""
    pairs, known = _parse_pairs(query), OPTIONS[kind]
    if unknown := sorted(set(pairs) - known):
        message = (
            f"unknown option {', '.join(unknown)}; here one can say {', '.join(sorted(known))}"
        )
        raise UserError(message, where=uri)
    relative, include = _relative(uri, path), _parse_globs(uri, pairs, "include")
    unpack = () if pairs.get("unpack") == "none" else _parse_globs(uri, pairs, "unpack")
    if "unpack" not in pairs and kind in ("web", "s3", "hub") and path.endswith(ARCHIVES):
        unpack = ("**/*",)
    if unpack and kind in ("folder", "alias") and not include:
        include = ("**/*",)  # all of it, but never read in place: archives have to be unpacked
    sha256 = pairs.get("sha256")
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise UserError("sha256 is not 64 hexadecimal digits in small letters", where=uri)
    return Source(
        uri, kind, name, relative, include, unpack=unpack, sha256=sha256, revision=revision
    )


def _relative(uri: str, text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if path.is_absolute():
        remedy = f"export {ALIAS_VARIABLE}NAME={path.parent} and write alias://NAME/{path.name}"
        raise UserError("an absolute path is one machine's own", where=uri, remedy=remedy)
    if ".." in path.parts:
        raise UserError("the path leads out of its folder (..)", where=uri, remedy="use alias://")
    return path


def _parse_pairs(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


def _parse_globs(uri: str, pairs: dict[str, str], option: str) -> tuple[str, ...]:
    patterns = tuple(part for part in pairs.get(option, "").split(",") if part)
    if option in pairs and not patterns:
        raise UserError(f"{option} names no pattern", where=uri)
    for pattern in patterns:
        if pattern.startswith("/") or ".." in PurePosixPath(pattern).parts:
            raise UserError(f"{option} leads out of the folder: {pattern}", where=uri)
    return patterns


def _parse_numbers(uri: str, pairs: dict[str, str]) -> dict[str, int]:
    numbers = {"seed": DEFAULT_SEED}
    for key, value in pairs.items():
        if not re.fullmatch(r"\d+", value):
            raise UserError(f"{key} is not a whole number: {value!r}", where=uri)
        numbers[key] = int(value)
    return numbers
