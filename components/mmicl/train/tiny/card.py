"""The card of the miniature backbone: how it was made, and what it can do before any stage."""

from collections.abc import Mapping
from typing import Any

HEAD = """---
library_name: transformers
license: apache-2.0
---

# The miniature backbone

A BLIP-2 of {parameters:,} weights, trained from the procedural world alone: where the profile
`tiny` starts, as MMICL starts from BLIP-2. ViT and Q-Former have learnt to name what a picture
shows; the T5 has learnt, from text alone, to answer the instruction bank's prompts where each
image's slots hold a description. **The projection between them is random**: aligning it is what
stage I is for. Only combinations of shape and colour of the training split occur.

## How it was made

```bash
mmicl run                       # writes data/instructions.jsonl, the prompts' wording
{command}
```

{made}

A killed run goes on from its last checkpoint. On a processor, equal arguments give equal weights
with one number of processes and threads.

## What it can do

Exactly right answers in percent, {count} prompts a figure (plus or minus {margin:.0f} points).
*Descriptions*: the T5 reads in words what the pictures show. *Fitted*: it sees the pictures through
a projection fitted in closed form to those descriptions, which no stage gets to see: a ceiling.
*Random*: through the projection that is shipped.

"""
COMMAND = """export OMP_NUM_THREADS=1
python -m mmicl.train.tiny --out FOLDER --state STATE --seed {seed} --device cuda --workers 14
# without a GPU, in some hours:
torchrun --standalone --nproc-per-node 2 \\
    -m mmicl.train.tiny --out FOLDER --state STATE --seed {seed}"""


def write_card(made: Mapping[str, Any], measured: Mapping[str, Mapping[str, float]]) -> str:
    """The card as Markdown.

    Args:
        made: Seed, batch, steps, seconds, hardware and the like of both halves, as quality.json.
        measured: Column -> skill -> points, as `quality.measure_backbone` gives them.
    """
    count = made["measured_on"]
    text = HEAD.format(
        parameters=made["parameters"],
        command=COMMAND.format(seed=made["seed"]),
        made="\n".join(_tell_half(made, half) for half in ("vision", "language")),
        count=count,
        margin=100 / count**0.5,
    )
    columns = list(measured)
    rows = [
        f"| skill | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
        *(
            f"| {skill} | {' | '.join(f'{measured[name][skill]:.0f}' for name in columns)} |"
            for skill in measured[columns[0]]
        ),
    ]
    return text + "\n".join(rows) + "\n"


def _tell_half(made: Mapping[str, Any], half: str) -> str:
    """One line about vision or language."""
    own = made[half]
    return (
        f"- {half}: {own['steps']:,} steps of {own['batch']}, learning rate "
        f"{own['learning_rate']:g}, {own['seconds'] / 60:.0f} minutes on {own['hardware']}"
    )
