"""`python -m mmicl.stages NAME [ITEM]`: run one stage's command, as DVC does.

How it ended is left where the caller finds it, since exit codes do not pass through DVC.
"""

import contextlib
import importlib
import json
import logging
import os
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import mmicl
from mmicl.config import load_config
from mmicl.errors import Kind, MmiclError, UserError
from mmicl.files import write_json, write_text
from mmicl.lineage import Inputs, code_state, find_inputs
from mmicl.paths import FINGERPRINT_VARIABLE, INPUTS_VARIABLE, Paths
from mmicl.shortages import describe_shortage
from mmicl.stages import StageContext
from mmicl.supervision import die_with_parent
from mmicl.train.continuation import TRAINING


def main(arguments: list[str]) -> int:
    """Run a stage and return the exit code: 0, 2 for an error that was foreseen, 1 for a bug."""
    if len(arguments) not in (1, 2):
        return _complain("usage: python -m mmicl.stages NAME [ITEM]", 2)
    die_with_parent()
    logging.basicConfig(format="%(message)s", stream=sys.stdout)  # of libraries, warnings alone
    logging.getLogger("mmicl").setLevel(logging.INFO)
    paths, stage = Paths.here(), "@".join(arguments)
    try:
        _check_checkout(paths.root)
        _run(paths, stage, *arguments)
    except Exception as error:
        foreseen = error if isinstance(error, MmiclError) else describe_shortage(error, stage)
        if foreseen is not None:
            _write_outcome(paths, stage, foreseen.kind, str(foreseen))
            return _complain(str(foreseen), 2)
        log = paths.state / "logs" / f"{stage}.log"
        write_text(log, traceback.format_exc())
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}; the traceback is in {log}"
        _write_outcome(paths, stage, "bug", " ".join(message.split()))
        return 1
    return 0


def _run(paths: Paths, stage: str, name: str, item: str | None = None) -> None:
    """Call the stage's module and record what ran."""
    module = _load_module(name)
    config = load_config(paths.root / "params.yaml")
    fingerprint, inputs = _find_fingerprint(paths, stage)
    context = StageContext(stage, item, config, paths, fingerprint)
    if inputs is not None and name in TRAINING:
        inputs.keep(context.run_folder)
    print(f"{stage}: started", flush=True)  # noqa: T201
    started, clock = datetime.now(UTC), time.monotonic()
    module.run(context)
    write_json(
        context.run_folder / "record.json",
        {
            "stage": stage,
            "fingerprint": context.fingerprint,
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - clock, 2),
            "facts": context.facts,
            "code": code_state(paths.root),
        },
    )
    _write_outcome(paths, stage, "ok", "")


def _find_fingerprint(paths: Paths, stage: str) -> tuple[str, Inputs | None]:
    """What the caller has found, if that is of this stage: to ask DVC takes a second."""
    name, _, found = os.environ.get(FINGERPRINT_VARIABLE, "").partition(" ")
    if name == stage:
        given = os.environ.get(INPUTS_VARIABLE)
        return found, Inputs(**json.loads(given)) if given else None
    inputs = find_inputs(paths, stage)
    return inputs.fingerprint, inputs


def _load_module(name: str) -> ModuleType:
    """Import the module of a stage."""
    folder = Path(__file__).parent
    known = sorted(path.stem for path in folder.glob("[a-z]*.py"))
    if name not in known:
        raise UserError("no such stage", where=name, remedy=f"stages are {', '.join(known)}")
    return importlib.import_module(f"mmicl.stages.{name}")


def _check_checkout(root: Path) -> None:
    """Refuse to run another checkout's code on this checkout's data.

    An editable install or a PYTHONPATH points at one checkout, whatever folder a command runs in.
    """
    imported, expected = Path(mmicl.__file__).resolve().parent, root / "components" / "mmicl"
    if imported != expected:
        raise UserError(
            f"mmicl was imported from {imported}, which is not this checkout's",
            where=root,
            remedy=f"run with PYTHONPATH={expected.parent}, or install this checkout",
        )


def _write_outcome(paths: Paths, stage: str, kind: "Kind | str", message: str) -> None:
    """Leave word of how the stage ended; a full disk takes none, and the line on stderr stays."""
    with contextlib.suppress(OSError):
        write_json(paths.outcome(stage), {"stage": stage, "kind": kind, "message": message})


def _complain(message: str, code: int) -> int:
    """Print one line for a person and return the exit code."""
    print(f"mmicl: {message}", file=sys.stderr, flush=True)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
