"""`world://NAME?n=…&seed=…[&test=…]`: the procedural world in the official files of a dataset."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mmicl.errors import UserError
from mmicl.files import replace_folder
from mmicl.world.plan import Plan
from mmicl.world.writers import (
    coco,
    mantis,
    mme,
    msrvtt_qa,
    nlvr2,
    open_ended_mi,
    pope,
    raven,
    scienceqa,
    vcr,
    vqav2,
    winoground,
)
from mmicl.world.writers.common import Studio

NEEDED, OPTIONAL = ("n", "seed"), ("test",)


Writer = Callable[[Plan, Path, Studio], None]
WRITERS: Mapping[str, Writer] = {
    "coco": coco.write,
    "vqav2": vqav2.write,
    "vcr": vcr.write,
    "nlvr2": nlvr2.write,
    "raven": raven.write,
    "pope": pope.write,
    "winoground": winoground.write,
    "mantis": mantis.write,
    "open_ended_mi": open_ended_mi.write,
    "mme": mme.write,
    "scienceqa": scienceqa.write,
    "msrvtt_qa": msrvtt_qa.write,
}


def generate(
    name: str, options: Mapping[str, int], folder: Path, processes: int | None = None
) -> None:
    """Write a world dataset's official files into a new or empty folder, whole or not at all.

    Equal (name, options) give equal bytes.

    Args:
        name: A key of WRITERS.
        options: `n`, the number of training items (of all items, where a benchmark is test only),
            `seed`, and, where wanted, `test`, the number of test items.
        folder: Where the files go.
        processes: That draw (`Studio`); None means one for each core that this one may use.

    Raises:
        UserError: No such world, a missing, unknown or bad option, or the folder holds files.
    """
    where = f"world://{name}"
    if name not in WRITERS:
        raise UserError("no such world", where=where, remedy=f"there are {', '.join(WRITERS)}")
    if not set(NEEDED) <= set(options) <= {*NEEDED, *OPTIONAL}:
        raise UserError(
            f"has the options {', '.join(sorted(options)) or 'none'}",
            where=where,
            remedy="give n and seed (and test)",
        )
    if options["n"] < 1 or options["seed"] < 0 or options.get("test", 1) < 1:
        raise UserError(
            f"bad options {dict(options)}", where=where, remedy="n >= 1, seed >= 0, test >= 1"
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError("folder is not empty", where=folder, remedy="name a new or empty one")
    with replace_folder(folder) as temporary, Studio(processes) as studio:
        WRITERS[name](Plan(name, **options), temporary, studio)
