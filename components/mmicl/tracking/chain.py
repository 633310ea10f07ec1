"""What lies on disk of the chain: the stages whose outs are current, and what each left behind.

Nothing here knows MLflow.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from mmicl.config import Config, read_params
from mmicl.errors import DataError, MmiclError
from mmicl.files import hash_json, read_json
from mmicl.lineage import entry_fingerprint, fingerprints, read_lock
from mmicl.paths import Paths

Curve = list[tuple[int, dict[str, float]]]


@dataclass(frozen=True)
class StageOnDisk:
    """One stage (or member of a group) whose outs are those of the present params and deps."""

    name: str
    fingerprint: str
    entry: Mapping[str, Any]
    """Its entry of dvc.lock; empty while the stage itself is running."""
    record: Mapping[str, Any] | None
    """What `mmicl.stages` wrote when it ran; None where DVC restored the outs from elsewhere."""
    folder: Path
    """Its run folder."""

    @property
    def group(self) -> str:
        """The stage's name without its member: `ingest` of `ingest@coco`."""
        return self.name.partition("@")[0]

    @property
    def params(self) -> dict[str, Any]:
        """The params of its lock entry, as DVC nests them."""
        return dict(self.entry.get("params", {}).get("params.yaml", {}))

    @property
    def deps(self) -> dict[str, str]:
        """Path -> md5 of its dependencies, from its lock entry."""
        return {item["path"]: item["md5"] for item in self.entry.get("deps", [])}

    @property
    def outs(self) -> dict[str, str]:
        """Path -> md5 of its outs, from its lock entry."""
        return {item["path"]: item["md5"] for item in self.entry.get("outs", [])}

    @property
    def span(self) -> tuple[float, float] | None:
        """Start and end in seconds since 1970, from its record."""
        if self.record is None:
            return None
        start = datetime.fromisoformat(self.record["started"]).timestamp()
        return start, start + float(self.record["seconds"])


@dataclass(frozen=True)
class Chain:
    """The stages that are current, in the order of dvc.yaml, and why the others are not."""

    stages: dict[str, StageOnDisk]
    stale: dict[str, str]

    def key(self, config: Config) -> str:
        """Name this state of the chain: all params and all fingerprints, 40 hexadecimal digits."""
        prints = {name: stage.fingerprint for name, stage in self.stages.items()}
        return hash_json({"params": dump_params(config), "stages": prints})[:40]


def read_chain(paths: Paths, running: tuple[str, str] | None = None) -> Chain:
    """Find the stages of dvc.lock that are current, as DVC would say.

    Args:
        paths: The checkout.
        running: Name and fingerprint of a stage that has just written its outs and is not in
            dvc.lock yet, because it is the caller.
    """
    lock = read_lock(paths)
    if running is not None:
        lock = {**lock, running[0]: {}}
    # DVC keeps the entries of datasets that another profile had; they are no part of this chain.
    datasets = read_params(paths.root / "params.yaml")["datasets"]
    names = [
        name
        for name in sorted(lock, key=_order(paths))
        if "@" not in name or name.partition("@")[2] in datasets
    ]
    marks = fingerprints(paths, names)
    stages: dict[str, StageOnDisk] = {}
    stale: dict[str, str] = {}
    for name in names:
        if running is not None and name == running[0]:
            reason, now = "", running[1]
        else:
            now = entry_fingerprint(lock[name])
            reason = _check(paths, lock[name], now, marks[name])
        late = [other for other in stale if _feeds(lock[other], lock[name])]
        if reason or late:
            stale[name] = reason or f"follows {', '.join(late)}"
            continue
        folder = paths.run(name, now)
        record = folder / "record.json"
        stages[name] = StageOnDisk(
            name, now, lock[name], read_json(record) if record.exists() else None, folder
        )
    return Chain(stages, stale)


def read_curve(paths: Paths, stage: StageOnDisk) -> Curve:
    """The (step, values) points of a training stage, in order; none for other stages.

    The run folder has all of them (throughput and memory too), reports/curves those that are
    reproducible, which is all that is left where DVC restored the outs.

    Raises:
        DataError: A line of a curve is not what it should be.
    """
    points: dict[int, dict[str, float]] = {}
    for path in (
        paths.root / "reports" / "curves" / f"{stage.name}.csv",
        stage.folder / "curve.csv",
        stage.folder / "meters.jsonl",
    ):
        if not path.exists():
            continue
        try:
            for row in _read_points(path):
                values = {key: float(value) for key, value in row.items() if value != ""}
                step = int(values.pop("step"))
                points.setdefault(step, {}).update(values)
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"not a curve ({error!r})", where=path) from None
    return sorted(points.items())


def dump_params(config: Config) -> dict[str, Any]:
    """The resolved params as params.yaml nests them."""
    return config.model_dump(by_alias=True, mode="json")


def _read_points(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    return [json.loads(line) for line in text.splitlines() if line]


def _check(paths: Paths, entry: Mapping[str, Any], then: str, now: str | MmiclError) -> str:
    """Why a stage's outs are not those of its params and deps; "" if they are."""
    if isinstance(now, MmiclError):
        return str(now)
    if now != then:
        return "params, data or code changed since it ran"
    for out in entry.get("outs", []):
        if not (paths.root / out["path"]).exists():
            return f"{out['path']} is missing"
    return ""


def _feeds(maker: Mapping[str, Any], user: Mapping[str, Any]) -> bool:
    """Whether an out of one lock entry is a dependency of another, lies below it or holds it."""
    return any(
        Path(out["path"]).is_relative_to(dep["path"])
        or Path(dep["path"]).is_relative_to(out["path"])
        for out in maker.get("outs", [])
        for dep in user.get("deps", [])
    )


def _order(paths: Paths) -> Any:
    """A sorting key: the order of dvc.yaml, then that of the datasets in params.yaml.

    A dataset may borrow pictures from one before it; members that are no longer there come last.
    """
    groups = list(YAML(typ="safe").load(paths.root / "dvc.yaml")["stages"])
    datasets = read_params(paths.root / "params.yaml")["datasets"]
    places = {name: place for place, name in enumerate(datasets)}

    def find_place(name: str) -> tuple[int, int, str]:
        group, _, member = name.partition("@")
        return groups.index(group), places.get(member, len(places)), name

    return find_place
