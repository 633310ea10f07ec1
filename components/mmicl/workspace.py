"""Workspaces: a run with another profile or overrides, without touching this checkout.

A workspace is a clone under the state folder with the checkout's present code, a params.yaml of
its own and a dvc.lock of its own. It shares the DVC cache, the remote and the state, so that what
was computed once is not computed again, and training resumes.
"""

import configparser
import filecmp
import json
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from filelock import FileLock
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mmicl.config import check_config, find_profile, load_config, read_params
from mmicl.errors import UserError
from mmicl.files import hash_json, read_json, write_json, write_text
from mmicl.lineage import code_state
from mmicl.paths import Paths

_OWN = {"params.yaml", "dvc.lock"}
"""Files that a workspace does not take from its checkout."""


@dataclass(frozen=True)
class Origin:
    """What a workspace was made from."""

    checkout: Path
    profile: str
    overrides: tuple[str, ...]


def choose_workspace(paths: Paths, profile: str | None, overrides: Sequence[str]) -> Paths:
    """The checkout itself, or a workspace where another profile or overrides are asked for.

    Raises:
        UserError: As `prepare_workspace`.
        ConfigError: As `prepare_workspace`, or the checkout's own params.yaml is invalid.
    """
    config = load_config(paths.root / "params.yaml")
    if profile in (None, config.profile) and not overrides:
        return paths
    return prepare_workspace(paths, profile, overrides)


def prepare_workspace(paths: Paths, profile: str | None, overrides: Sequence[str]) -> Paths:
    """Make or update the workspace for a profile and overrides.

    Args:
        paths: The checkout.
        profile: A file of profiles/; None, or the name in params.yaml, means params.yaml itself.
        overrides: `key.key=value`, with the value in YAML.

    Returns:
        The workspace's paths; its state is the checkout's.

    Raises:
        UserError: No such profile, a malformed override, or no git repository.
        ConfigError: The resulting configuration is invalid; names the key.
    """
    params = resolve_params(paths.root, profile, overrides)
    code_state(paths.root)
    name = f"{params['profile']}-{hash_json(params)[:10]}"
    root = paths.state / "workspaces" / name
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_suffix(".lock")):
        if not (root / ".git").exists():
            shutil.rmtree(root, ignore_errors=True)
            _git(paths.root, "clone", "--quiet", "--shared", "--no-checkout", ".", str(root))
        _mirror_code(paths.root, root)
        _share_storage(paths, root)
        _write_params(root / "params.yaml", params)
        write_json(
            root / ".git" / "mmicl.json",
            {
                "checkout": str(paths.root),
                "profile": params["profile"],
                "overrides": list(overrides),
            },
        )
    return Paths(root, paths.state)


def read_origin(root: Path) -> Origin | None:
    """What a folder is a workspace of; None for an ordinary checkout."""
    path = root / ".git" / "mmicl.json"
    if not path.exists():
        return None
    value = read_json(path)
    return Origin(Path(value["checkout"]), value["profile"], tuple(value["overrides"]))


def resolve_params(root: Path, profile: str | None, overrides: Sequence[str]) -> dict[str, Any]:
    """The complete parameters for a profile with overrides, checked.

    Raises:
        UserError: No such profile, or an override is not `key=value`.
        ConfigError: The result is invalid; names the key.
    """
    params = read_params(root / "params.yaml")
    if profile is not None and profile != params.get("profile"):
        params = read_params(find_profile(root, profile))
    for override in overrides:
        _override(params, override)
    where = " ".join(["--set", *overrides]) if overrides else f"profile {profile}"
    check_config(params, where=where)
    return params


def _override(params: dict[str, Any], override: str) -> None:
    """Set one value; the sections before the last key must exist, the check judges the rest."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError("not of the form key=value", where=override)
    try:
        value = YAML(typ="safe").load(text)
    except YAMLError:
        raise UserError("the value is not YAML", where=override) from None
    *sections, last = key.split(".")
    place: Any = params
    for section in sections:
        place = place.get(section) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise UserError(f"params.yaml has no section {'.'.join(sections)}", where=override)
    place[last] = value


def _mirror_code(source: Path, target: Path) -> None:
    """Give a workspace the checkout's revision and working tree, uncommitted changes included."""
    revision = _git(source, "rev-parse", "HEAD").strip()
    _git(target, "update-ref", "--no-deref", "HEAD", revision)
    _git(target, "read-tree", "HEAD")
    listed = _git(source, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    wanted = {name for name in listed.split("\0") if name and (source / name).is_file()} - _OWN
    for name in wanted:
        copy = target / name
        # An equal file is left alone: DVC and Python know it by its time of change.
        if not copy.is_file() or not filecmp.cmp(source / name, copy, shallow=False):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, copy)
    kept = _git(target, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in {name for name in kept.split("\0") if name} - wanted - _OWN:
        (target / name).unlink(missing_ok=True)
    if not (target / "dvc.lock").exists():
        _take_lock(source, target)


def _take_lock(source: Path, target: Path) -> None:
    """Begin with the dvc.lock of whoever ran last, whose data are most likely the same.

    DVC writes the file in place, under its own lock: who writes just now, or was killed while
    writing, is passed over.
    """
    from dvc.lock import Lock, LockError

    locks = (source / "dvc.lock", *target.parent.glob("*/dvc.lock"))
    found = [lock for lock in locks if lock.exists()]
    for lock in sorted(found, key=lambda lock: lock.stat().st_mtime, reverse=True):
        held = lock.parent / ".dvc" / "tmp" / "lock"
        held.parent.mkdir(exist_ok=True)  # there is none where DVC has not been at work yet
        with suppress(LockError, YAMLError), Lock(str(held)):
            text = lock.read_text(encoding="utf-8")
            if YAML(typ="safe").load(text):
                write_text(target / "dvc.lock", text)
                return


def _share_storage(paths: Paths, root: Path) -> None:
    """Point a workspace's DVC at the checkout's cache and remote."""
    from dvc.config import Config

    config = Config(str(paths.root / ".dvc"))
    local = configparser.ConfigParser()
    local["cache"] = {"dir": str(config["cache"].get("dir") or paths.root / ".dvc" / "cache")}
    for name, remote in config["remote"].items():
        local[f"'remote \"{name}\"'"] = {"url": str(remote["url"])}
    text = StringIO()
    local.write(text)
    write_text(root / ".dvc" / "config.local", text.getvalue())


def _write_params(path: Path, params: dict[str, Any]) -> None:
    """Write params.yaml, unless it says the same already."""
    if path.exists() and read_params(path) == params:
        return
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(json.loads(json.dumps(params)), text)
    write_text(path, text.getvalue())


def _git(root: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    result = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise UserError(f"git {arguments[0]}: {result.stderr.strip()}", where=root)
    return result.stdout
