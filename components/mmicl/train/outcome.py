"""How a rank ended, left where the stage finds it: exit codes do not pass through torchrun."""

import shutil
import traceback
from pathlib import Path

from mmicl.config import Launch
from mmicl.errors import DataError, MmiclError, ResourceError, TransientError, UserError
from mmicl.files import read_json, write_json
from mmicl.shortages import find_full_disk, find_lack_of_memory, is_full

_KINDS = {kind.kind: kind for kind in (UserError, DataError, ResourceError, TransientError)}
_LOST_PEER = ("by peer", "broken pipe", "remote process exited", "ncclremoteerror")
"""What a rank says whose neighbour has gone."""


def clear_errors(run_folder: Path) -> None:
    """Forget how an earlier run ended."""
    shutil.rmtree(run_folder / "errors", ignore_errors=True)


def write_error(run_folder: Path, rank: int, error: BaseException, launch: Launch | None) -> None:
    """Record an error of a rank: kind, one line, and for a bug the traceback.

    Args:
        run_folder: The run's.
        rank: The rank that met it.
        error: What it met.
        launch: The hardware's params, as far as they were read: what could be changed about them.
    """
    if (reason := find_lack_of_memory(error)) is not None:
        error = ResourceError(f"out of memory: {reason}", remedy=_save_memory(launch))
    elif (reason := find_full_disk(error)) is not None:
        error = _refuse_full_disk(run_folder, reason)
    known = isinstance(error, MmiclError)
    content = {
        "kind": error.kind if known else "bug",
        "message": str(error) if known else f"{type(error).__name__}: {error}",
        "traceback": "" if known else "".join(traceback.format_exception(error)),
    }
    write_json(run_folder / "errors" / f"rank_{rank}.json", content)


def _refuse_full_disk(run_folder: Path, reason: str) -> ResourceError:
    return ResourceError(
        f"no room to write ({reason})",
        where=run_folder,
        remedy="make room there, or lower launch.keep_checkpoints; the same command goes on "
        "from the last whole checkpoint",
    )


def _save_memory(launch: Launch | None) -> str:
    """What to change where memory ran out; of what is left to change, the cheapest first."""
    if launch is None:
        return "lower launch.micro_tokens or launch.micro_batch"
    ways = [
        f"lower launch.micro_tokens (now {launch.micro_tokens}) or launch.micro_batch "
        f"(now {launch.micro_batch})"
    ]
    if not launch.activation_checkpointing:
        ways.append("set launch.activation_checkpointing")
    if launch.zero_stage < 3:
        ways.append(f"raise launch.zero_stage (now {launch.zero_stage})")
    if launch.offload != "parameters":
        ways.append(f"offload more (launch.offload, now {launch.offload})")
    return ", ".join(ways[:-1]) + f", or {ways[-1]}" if len(ways) > 1 else ways[0]


def raise_error(run_folder: Path, stage: str, code: int, log: Path) -> None:
    """Raise in the stage what a rank recorded.

    Args:
        run_folder: The run's.
        stage: For the message.
        code: The launcher's exit code, not 0.
        log: The whole output of the ranks.

    Raises:
        MmiclError: Of the recorded kind. A process that ended without a word had no room for one,
            or was killed, most often by the kernel for want of memory; all that the others can say
            is then that they have lost it.
        RuntimeError: A rank met a bug; holds its traceback.
    """
    found = [read_json(path) for path in sorted((run_folder / "errors").glob("rank_*.json"))]
    for content in found:
        if content["kind"] in _KINDS:
            raise _KINDS[content["kind"]](content["message"])
    for content in found:
        if not any(sign in content["message"].lower() for sign in _LOST_PEER):
            raise RuntimeError(f"{content['message']}; see {log}\n{content['traceback']}")
    if is_full(run_folder):
        raise _refuse_full_disk(run_folder, "no space left")
    raise ResourceError(
        f"a training process was killed (exit code {code})",
        where=stage,
        remedy="run again to go on from the last checkpoint; if memory ran out, lower "
        f"launch.micro_tokens first; the log is {log}",
    )
