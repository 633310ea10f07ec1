"""What a stage run is made of: its fingerprint, and the state of the code that ran it."""

import contextlib
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from mmicl.errors import DataError, MmiclError, UserError
from mmicl.files import hash_json, read_json, write_json
from mmicl.paths import Paths

if TYPE_CHECKING:
    from dvc.stage import Stage

INPUTS = "inputs.json"
_RESULTS = ("dvc.lock", "reports/")
"""Tracked files that runs change: results, not dirt."""


@dataclass(frozen=True)
class Inputs:
    """What makes a stage run what it is: command, parameters, and dependencies by DVC's hashes.

    `launch`, tracking and whatever else dvc.yaml leaves out never counts.
    """

    command: str
    deps: dict[str, Any]
    params: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """Names the run, the same before it, inside it and afterwards: 40 hexadecimal digits."""
        return _digest(self.command, self.deps, self.params)

    def keep(self, run_folder: Path) -> None:
        """Leave word in the run folder of what the run is made of."""
        write_json(run_folder / INPUTS, asdict(self))


def read_kept(run_folder: Path) -> Inputs | None:
    """What `Inputs.keep` left; None where there is nothing."""
    path = run_folder / INPUTS
    return Inputs(**read_json(path)) if path.is_file() else None


def find_inputs(paths: Paths, stage: str) -> Inputs:
    """The inputs of a stage as they are now.

    Args:
        paths: The checkout.
        stage: DVC's name of the stage, such as `ingest@coco`.

    Raises:
        UserError: No such stage, or the folder is no DVC or git repository.
        DataError: A dependency does not exist.
    """
    found = find_all_inputs(paths, [stage])[stage]
    if isinstance(found, MmiclError):
        raise found
    return found


def fingerprint(paths: Paths, stage: str) -> str:
    """The fingerprint of a stage as it is now; raises as `find_inputs`."""
    return find_inputs(paths, stage).fingerprint


def fingerprints(paths: Paths, stages: Iterable[str]) -> dict[str, str | MmiclError]:
    """The fingerprint of each stage, or the error that `fingerprint` would raise for it."""
    found = find_all_inputs(paths, stages)
    return {
        name: one.fingerprint if isinstance(one, Inputs) else one for name, one in found.items()
    }


def find_all_inputs(paths: Paths, stages: Iterable[str]) -> dict[str, Inputs | MmiclError]:
    """The inputs of each stage, or the error that `find_inputs` would raise for it.

    DVC reads its files once for all of them, which is most of the work.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        # DVC looks for dvc.yaml from the current folder on.
        with contextlib.chdir(paths.root), Repo() as repo:
            known = {stage.addressing: stage for stage in repo.stage.load_all()}
            return {
                name: read_inputs(known[name])
                if name in known
                else UserError(f"no stage {name} in dvc.yaml", where=paths.root)
                for name in stages
            }
    except DvcException as error:
        return dict.fromkeys(stages, UserError(str(error), where=paths.root))


def read_inputs(stage: "Stage") -> Inputs | MmiclError:
    """The inputs of a stage of an open repository, or why it has none."""
    from dvc.dependency import ParamsDependency
    from dvc.dependency.base import DependencyDoesNotExistError
    from dvc.dependency.param import MissingParamsError
    from dvc.exceptions import DvcException

    try:
        stage.save_deps()  # hashes are in DVC's own cache: milliseconds
    except DependencyDoesNotExistError as error:
        return DataError(str(error), where=stage.addressing, remedy="run the stages before it")
    except MissingParamsError as error:
        return UserError(str(error), where="params.yaml")
    except DvcException as error:
        return UserError(str(error), where=stage.addressing)
    deps: dict[str, Any] = {}
    params: dict[str, Any] = {}
    for dep in stage.deps:
        kind = params if isinstance(dep, ParamsDependency) else deps
        kind[dep.def_path] = dep.hash_info.value if dep.hash_info else None
    return Inputs(str(stage.cmd), deps, params)


def recorded_fingerprint(paths: Paths, stage: str) -> str | None:
    """The fingerprint of the run that made the present outs, from dvc.lock; None without one."""
    entry = read_lock(paths).get(stage)
    return None if entry is None else entry_fingerprint(entry)


def entry_fingerprint(entry: Mapping[str, Any]) -> str:
    """The fingerprint of the run behind an entry of dvc.lock."""
    deps = {dep["path"]: dep["md5"] for dep in entry.get("deps", [])}
    return _digest(entry["cmd"], deps, entry.get("params", {}))


def read_lock(paths: Paths) -> dict[str, Any]:
    """The entries of dvc.lock by stage; empty where nothing ran yet."""
    path = paths.root / "dvc.lock"
    if not path.exists():
        return {}
    return YAML(typ="safe").load(path)["stages"]


def code_state(root: Path) -> dict[str, Any]:
    """Which code this checkout holds.

    Returns:
        `revision`, and `dirty`: tracked or new files that differ from it. Results (dvc.lock,
        reports) are no dirt.

    Raises:
        UserError: The folder is not a git repository, or has no commit yet.
    """
    revision = _git(root, "rev-parse", "HEAD").strip()
    lines = _git(root, "status", "--porcelain", "-z", "--no-renames").split("\0")
    dirty = [line[3:] for line in lines if line]
    return {
        "revision": revision,
        "dirty": sorted(path for path in dirty if not path.startswith(_RESULTS)),
    }


def _digest(command: str, deps: dict[str, Any], params: dict[str, Any]) -> str:
    """Hash the three things that make a stage run what it is."""
    return hash_json({"cmd": command, "deps": deps, "params": params})[:40]


def _git(root: Path, *arguments: str) -> str:
    """Run git in the checkout."""
    result = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise UserError(
            result.stderr.strip() or "not a git repository",
            where=root,
            remedy="clone the project instead of copying it",
        )
    return result.stdout
