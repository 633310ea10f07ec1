"""How a rank ended, left where the stage finds it: exit codes do not pass through torchrun."""

import shutil
import traceback
from pathlib import Path

from mmicl.errors import DataError, MmiclError, ResourceError, TransientError, UserError
from mmicl.files import read_json, write_json

_KINDS = {kind.kind: kind for kind in (UserError, DataError, ResourceError, TransientError)}
_MEMORY_SIGNS = ("can't allocate memory", "out of memory", "not enough memory", "bad_alloc")


def clear_errors(run_folder: Path) -> None:
    """Forget how an earlier run ended."""
    shutil.rmtree(run_folder / "errors", ignore_errors=True)


def write_error(run_folder: Path, rank: int, error: BaseException, micro_batch: int | None) -> None:
    """Record an error of a rank: kind, one line, and for a bug the traceback."""
    if is_out_of_memory(error):
        size = "" if micro_batch is None else f" (now {micro_batch})"
        first, _, _ = str(error).strip().partition("\n")
        error = ResourceError(
            f"out of memory: {first or 'no room'}",
            remedy=f"lower launch.micro_batch{size}, or raise launch.zero_stage",
        )
    known = isinstance(error, MmiclError)
    content = {
        "kind": error.kind if known else "bug",
        "message": str(error) if known else f"{type(error).__name__}: {error}",
        "traceback": "" if known else "".join(traceback.format_exception(error)),
    }
    write_json(run_folder / "errors" / f"rank_{rank}.json", content)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in one of torch's several ways."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _MEMORY_SIGNS)


def raise_error(run_folder: Path, stage: str, code: int, log: Path) -> None:
    """Raise in the stage what a rank recorded.

    Args:
        run_folder: The run's.
        stage: For the message.
        code: The launcher's exit code, not 0.
        log: The whole output of the ranks.

    Raises:
        MmiclError: Of the recorded kind; a process that ended without a word was killed, most
            often by the kernel for want of memory.
        RuntimeError: A rank met a bug; holds its traceback.
    """
    found = [read_json(path) for path in sorted((run_folder / "errors").glob("rank_*.json"))]
    for content in found:
        if content["kind"] in _KINDS:
            raise _KINDS[content["kind"]](content["message"])
    if found:
        raise RuntimeError(f"{found[0]['message']}; see {log}\n{found[0]['traceback']}")
    raise ResourceError(
        f"a training process was killed (exit code {code})",
        where=stage,
        remedy="run again to go on from the last checkpoint; if memory ran out, lower "
        f"launch.micro_batch first; the log is {log}",
    )
