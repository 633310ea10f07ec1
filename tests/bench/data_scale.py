"""The data half at scale: a part of `make bench-data`.

Captioned pictures of the world through fetch, ingest, build and validate, each stage a process of
its own as DVC starts it, with its seconds and the most memory that one process held. The seconds an
Example may not grow, and the pictures must be distinct. Then stages are killed in their middle and
run again, and must leave the same bytes. DVC's own hashing of files is left out.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from checkouts import clean_environment, copy_checkout
from ruamel.yaml import YAML

from mmicl.files import read_json
from mmicl.paths import FINGERPRINT_VARIABLE

CAPTIONS = 5
"""Examples a picture."""
STAGES = (("fetch", "coco"), ("ingest", "coco"), ("augment",), ("build",), ("validate",))
KILLED = {
    "ingest": ("data/examples/coco", "data/images/coco"),
    "build": ("data/mic",),
    "validate": ("reports/validation.json",),
}
"""Stages that are killed and run again, and what must be equal afterwards."""
LIMIT_GIB = 2.0
"""Of one process."""
LINEAR = 1.5
"""Times the seconds an Example that the largest size may take of those of the size below it."""
TOO_MANY_EXAMPLES = 10
"""Fewer than so many Examples for each distinct picture: a million show over 100,000."""


def main(arguments: list[str]) -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000", help="Examples each")
    parser.add_argument("--workers", type=int, default=2, help="launch.workers")
    parser.add_argument("--out", type=Path, help="JSON of all figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        sizes = [int(size) for size in options.sizes.split(",")]
        rows, failed = measure_scale(Path(folder), sizes, options.workers)
    if options.out:
        options.out.write_text(json.dumps({"rows": rows, "failed": failed}, indent=2) + "\n")
    for line in failed:
        print(line, file=sys.stderr)
    return int(bool(failed))


def measure_scale(
    folder: Path, sizes: list[int], workers: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Run the stages at every size, and print a table; its rows, and what went wrong."""
    rows = []
    for size in sizes:
        checkout = prepare(folder / str(size), size, workers)
        for stage in STAGES:
            row = {"examples": size, "stage": stage[0], **run_stage(checkout, stage)}
            if stage[0] == "ingest":
                row["images"] = read_json(checkout / "data/examples/coco/manifest.json")["images"]
            print(json.dumps(row), flush=True)
            rows.append(row)
    failed = judge(rows)
    size = sizes[min(1, len(sizes) - 1)]
    seconds = {row["stage"]: row["seconds"] for row in rows if row["examples"] == size}
    for stage in STAGES:
        if stage[0] in KILLED:
            failed += kill_and_repeat(folder / str(size), stage, seconds[stage[0]] / 2)
    print(write_scale(rows))
    return rows, failed


def kill_and_repeat(checkout: Path, stage: tuple[str, ...], after: float) -> list[str]:
    """Kill a stage in its middle and run it again; what went wrong, if it leaves other bytes."""
    places = [checkout / place for place in KILLED[stage[0]]]
    before = [digest(place) for place in places]
    kill_stage(checkout, stage, after)
    run_stage(checkout, stage)
    same = [digest(place) for place in places] == before
    record = read_json(checkout / ".mmicl" / "runs" / "-".join(stage) / "bench" / "record.json")
    taken = record["facts"].get("works_taken_up", 0)
    print(
        f"{stage[0]}: killed after {after:.1f} s, run again: {'equal' if same else 'OTHER'} bytes, "
        f"{taken} works taken up"
    )
    return [] if same else [f"{stage[0]}: other bytes after a kill"]


def judge(rows: list[dict[str, Any]]) -> list[str]:
    """What is not as it should be: memory, linearity, distinct pictures."""
    failed = [
        f"{row['stage']} of {row['examples']}: {row['peak_gib']:.2f} GiB"
        for row in rows if row["peak_gib"] > LIMIT_GIB
    ]  # fmt: skip
    spent = {(row["stage"], row["examples"]): row["seconds"] / row["examples"] for row in rows}
    *_, less, most = [0, *sorted({size for _, size in spent})]
    for stage in KILLED if less else ():
        ratio = spent[stage, most] / spent[stage, less]
        if ratio > LINEAR:
            failed.append(
                f"{stage}: an Example takes {ratio:.2f} times as long at {most:,} as at {less:,}, "
                f"more than {LINEAR}"
            )
    for row in rows:
        if row["stage"] == "ingest" and row["images"] * TOO_MANY_EXAMPLES <= row["examples"]:
            failed.append(f"{row['images']} distinct pictures of {row['examples']} Examples")
    return failed


def prepare(target: Path, size: int, workers: int) -> Path:
    """A checkout whose only dataset has so many Examples, all of which become samples."""
    checkout = copy_checkout(target)
    yaml = YAML()
    params = yaml.load(checkout / "params.yaml")
    coco = params["datasets"]["coco"]
    coco["source"] = f"world://coco?n={size // CAPTIONS}&seed=1&test=100"
    params["datasets"] = {"coco": coco}
    params["build"].update(pretrain={"coco": size}, finetune={"coco": size}, validation=200)
    params["evaluate"]["benchmarks"] = {
        "coco_caption": params["evaluate"]["benchmarks"]["coco_caption"]
    }
    params["register"]["margins"] = {}
    params["ablation"]["variants"], params["ablation"]["claims"] = {"full": []}, []
    params["launch"]["workers"] = workers
    yaml.dump(params, checkout / "params.yaml")
    return checkout


def start_stage(checkout: Path, stage: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    """A stage as DVC starts it."""
    told = {FINGERPRINT_VARIABLE: f"{'@'.join(stage)} bench"}  # DVC's own hashing is left out
    environment = clean_environment(PYTHONPATH=str(checkout / "components"), **told)
    command = [sys.executable, "-m", "mmicl.stages", *stage]
    return subprocess.Popen(
        command, cwd=checkout, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def run_stage(checkout: Path, stage: tuple[str, ...]) -> dict[str, float]:
    """Seconds, and the GiB of the largest of its processes."""
    begin = time.monotonic()
    process = start_stage(checkout, stage)
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(stage)} failed:\n{told.decode()[-3000:]}")
    return {"seconds": time.monotonic() - begin, "peak_gib": usage.ru_maxrss / 2**20}


def kill_stage(checkout: Path, stage: tuple[str, ...], after: float) -> None:
    """Kill a stage, and all that it has started, in its middle."""
    process = start_stage(checkout, stage)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def digest(path: Path) -> str:
    """Of a file, or of all files of a folder."""
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            whole.update(file.relative_to(path.parent).as_posix().encode() + file.read_bytes())
    return whole.hexdigest()


def write_scale(rows: list[dict[str, Any]]) -> str:
    """A Markdown table: a row a stage, seconds and GiB at each size."""
    sizes = list(dict.fromkeys(row["examples"] for row in rows))
    found = {(row["stage"], row["examples"]): row for row in rows}
    lines = [
        f"| stage | {' | '.join(f'{size:,} Examples: s | GiB' for size in sizes)} |",
        f"|---|{'---|---|' * len(sizes)}",
    ]
    for stage, *_ in STAGES:
        cells = (found[stage, size] for size in sizes)
        told = " | ".join(f"{cell['seconds']:.1f} | {cell['peak_gib']:.2f}" for cell in cells)
        lines.append(f"| {stage} | {told} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
