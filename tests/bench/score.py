"""Score a VQA results file through the command line, held to its budget: a part of `make bench`.

Writes 100,000 questions of VQA v2's form with ten answers each and a results file, runs
`mmicl score vqav2 … --json` in a child process, prints its seconds and its largest resident memory,
and exits 1 over budget.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

QUESTIONS = 100_000
ANNOTATORS = 10
COLOURS = ("red", "green", "blue", "white", "black", "brown", "grey", "yellow")
NOUNS = ("dog", "cat", "man", "tree", "car", "bus", "boat", "table", "street", "hat", "clock")


def main(arguments: list[str]) -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--seconds", type=float, default=20.0, help="the budget, start-up included")
    parser.add_argument("--memory", type=float, default=1.0, help="the budget in GB (10^9 bytes)")
    options = parser.parse_args(arguments)
    budget = {"seconds": options.seconds, "GB of memory": options.memory}
    with tempfile.TemporaryDirectory() as folder:
        annotations, results = write_files(Path(folder), options.questions)
        measured, scored = score_in_child(annotations, results)
    if scored["n"] != options.questions or "warnings" in scored:
        sys.exit(f"not all was scored: n {scored['n']}, {scored.get('warnings')}")
    print(f"| scoring {options.questions:,} VQA predictions | measured | budget |\n|---|---|---|")
    for name, limit in budget.items():
        print(f"| {name} | {measured[name]:.2f} | {limit:g} |")
    print(f"| seconds of a processor | {measured['seconds of a processor']:.2f} | |")
    if over := [name for name, limit in budget.items() if measured[name] > limit]:
        print(f"over budget: {', '.join(over)}", file=sys.stderr)
    return int(bool(over))


def write_files(folder: Path, count: int) -> tuple[Path, Path]:
    """Annotations of VQA v2's form, on which annotators differ, and results for all of them."""
    paths = folder / "v2_mscoco_val2014_annotations.json", folder / "results.json"
    draw = random.Random(1)
    with paths[0].open("w") as annotations, paths[1].open("w") as results:
        # Entry by entry: a child's peak begins with its parent's.
        annotations.write('{"annotations": [')
        results.write("[")
        for number in range(count):
            texts = [f"{draw.choice(COLOURS)} {draw.choice(NOUNS)} {number % 997}" for _ in "abc"]
            said = draw.choices(texts, (6, 3, 1), k=ANNOTATORS)
            comma = "," if number else ""
            annotations.write(comma + json.dumps(annotate(number, said)))
            answer = {"question_id": number, "answer": f"The {draw.choice(texts)}."}
            results.write(comma + json.dumps(answer))
        annotations.write("]}")
        results.write("]")
    return paths


def annotate(number: int, said: list[str]) -> dict[str, Any]:
    """A question's entry, every key that the official file has."""
    return {
        "question_type": "what is the", "multiple_choice_answer": said[0],
        "answers": [
            {"answer": text, "answer_confidence": "yes", "answer_id": place}
            for place, text in enumerate(said, start=1)
        ],
        "image_id": number // 5, "answer_type": "other", "question_id": number,
    }  # fmt: skip


def score_in_child(annotations: Path, results: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """What the child used, under the names of the table, and what it printed."""
    mmicl = Path(sys.executable).parent / "mmicl"
    command = [mmicl, "score", "vqav2", "--predictions", results, "--references", annotations]
    begin = time.monotonic()
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        text = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begin
    if child.returncode:
        sys.exit(f"mmicl score ended with {child.returncode}")
    measured = {
        "seconds": seconds,
        "GB of memory": usage.ru_maxrss * 1024 / 1e9,
        "seconds of a processor": usage.ru_utime + usage.ru_stime,
    }
    return measured, json.loads(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
