"""docs/datasets.md, written from what the readers declare: `python -m mmicl.sources.page`.

A contract test holds the committed page against what this writes.
"""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from mmicl.files import write_text
from mmicl.sources import READERS
from mmicl.sources.reader import Reader

PAGE = Path("docs") / "datasets.md"
INTRODUCTION = """\
# Datasets

Written by `python -m mmicl.sources.page` from what the readers declare; do not edit it by hand.

Each reader turns a dataset's *official* files into `Example` rows
(`components/mmicl/records.py`); a record that it cannot use is quarantined with a reason and
counted. Try one alone:

```bash
mmicl ingest vsr --source FOLDER --out /tmp/vsr --json
mmicl ingest vsr --source FOLDER --out /tmp/vsr --file test=zeroshot/test.jsonl
```

`FOLDER` holds the files named below. Where yours are named otherwise, `--file role=path` says so,
the path being within `FOLDER` (`datasets.NAME.files` in params.yaml); a dataset without roles finds
its files wherever they lie. Of a video `--frames N` (`datasets.NAME.frames`) are taken, frame i at
duration * i / (N + 1). Nothing is read outside of `FOLDER`. The numbers of records are the makers'
own, for comparison with the counts in the manifest; *use* is what MMICL does with a dataset, which
a profile need not follow.

Datasets that ask about the same photos or videos share them: `datasets.vqav2.pictures: images/coco`
of params.yaml takes from the dataset `coco`, which comes before, what that one has stored, by path
or else by file name; such a picture need not lie among the files of `vqav2`, and is neither checked
nor stored again. Frames of a video are lent to a dataset that takes as many of each. `raw/vqav2`
stores its own.

Of what img2dataset fetched, `digests` in the manifest counts the pictures whose bytes have the
sha256 in the table (`as fetched`) and those that have not (`of other bytes`): that sha256 is of
what the web gave, and img2dataset encodes anew unless told `--disable_all_reencoding True`. Where
that was told, every picture of other bytes is a damaged one.

## Where this differs from the released project

Its conversions are those of MIC_tool; here it is otherwise:

- VQAv2, OK-VQA: the most common answer is the target, not one drawn by its soft score. ST-VQA,
  TextVQA: likewise, not one at random. Ingest has no draws, and that answer scores best.
- GQA: `answer`, a word or two, not `fullAnswer`, a sentence: the official score compares it.
- RefCOCO: photo and crop, and the sentence that picks the object out, not the quadrant of its box,
  which there depended on the order of runs.
- VCR: crops of the objects that the texts speak of, not of all that were detected: the others are
  never referred to, and fewer samples exceed the images of a prompt. Rationales are questions of
  their own (`vcr_rationale`, the official QA -> R), not appended to the answer.
- IconQA and VSR are for testing, as the paper reports them, though that project trains on them.
"""


def write_page(readers: Iterable[Reader]) -> str:
    """The page, in Markdown: a table of all datasets, then one section each, by category."""
    ordered = sorted(readers, key=lambda reader: (reader.page.category, reader.name))
    rows = [
        f"| [{reader.name}](#{reader.name}) | {reader.page.title} | {reader.page.category} | "
        f"{reader.page.use} | {reader.task} |"
        for reader in ordered
    ]
    parts = [
        INTRODUCTION,
        "\n".join(
            ["| reader | dataset | category | use | task |", "|---|---|---|---|---|", *rows, ""]
        ),
    ]
    for category, group in groupby(ordered, key=lambda reader: reader.page.category):
        parts.append(f"## {category[0].upper()}{category[1:]}\n")
        parts += [write_section(reader) for reader in group]
    return "\n".join(parts)


def write_section(reader: Reader) -> str:
    """What a person needs to bring a dataset: files, roles, licence, counts, and what is made."""
    page = reader.page
    lines = [
        f"### {reader.name}\n",
        f"{page.title}: {page.makes}.\n",
        f"- official: <{page.url}>",
        f"- licence: {reader.licence}",
        f"- files: {', '.join(f'`{name}`' for name in reader.files)}",
        f"- records: {page.records}",
    ]
    if reader.roles:
        roles = ", ".join(f"`{role}` (`{name}`)" for role, name in reader.roles.items())
        lines.append(f"- roles: {roles}")
    if reader.frames:
        lines.append(f"- frames of a video: {reader.frames}, unless `frames` says otherwise")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    write_text(PAGE, write_page(READERS.values()))
