"""Why a stage would run: DVC's findings, in words."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from dvc.stage import Stage


@dataclass(frozen=True)
class StageState:
    """Whether a stage would run, and why."""

    name: str
    group: str
    up_to_date: bool
    why: str
    """What changed, in words; empty when up to date."""


def explain_changes(
    stage: "Stage", changes: list[Any], late: list[str], lock: dict[str, Any] | None
) -> StageState:
    """Put DVC's findings about one stage into words.

    Args:
        stage: The stage.
        changes: DVC's status entries of it.
        late: Stages that it depends on and that would run.
        lock: Its entry of dvc.lock.
    """
    name = stage.addressing
    reasons: list[str] = []
    if lock is None:
        reasons.append("never ran")
    else:
        for change in changes:
            if isinstance(change, str):
                reasons.append("command changed")
                continue
            for path, how in change.get("changed deps", {}).items():
                reasons += _explain_dep(stage, path, how, lock)
            outs = change.get("changed outs", {})
            reasons += [f"{path} {_OUT_WORDS.get(how, how)}" for path, how in outs.items()]
    if late:
        more = f" and {len(late) - 3} more" if len(late) > 3 else ""
        reasons.append(f"follows {', '.join(late[:3])}{more}")
    return StageState(name, name.partition("@")[0], not reasons, "; ".join(reasons))


_OUT_WORDS = {"deleted": "is missing", "modified": "was changed", "not in cache": "left the cache"}


def _explain_dep(stage: "Stage", path: str, how: Any, lock: dict[str, Any]) -> list[str]:
    """Say what became of a dependency; of parameters, which values changed."""
    if not isinstance(how, dict):
        return [f"{path} {how}"]
    (dep,) = (dep for dep in stage.deps if str(dep) == path)
    now = cast("Any", dep).read_params()
    then = lock.get("params", {}).get(dep.def_path, {})
    return [line for key in how for line in _compare(key, then.get(key), now.get(key))]


def _compare(key: str, then: Any, now: Any) -> list[str]:
    """The differing leaves of two parameter values."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = [*then, *(name for name in now if name not in then)]
        return [
            line
            for name in keys
            for line in _compare(f"{key}.{name}", then.get(name), now.get(name))
        ]
    return [] if then == now else [f"{key} {then!r} -> {now!r}"]
