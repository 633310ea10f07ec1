"""What a captioning job is told, checked before anything heavy is imported."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmicl.errors import UserError

CAPTIONER = "Salesforce/blip-image-captioning-large"
MATCHER = "Salesforce/blip-itm-large-coco"
PROMPT = "a picture of"
"""What BLIP's captioner was trained to go on from (`prompt` in its models/blip.py)."""
NUCLEUS, BEAM = "nucleus", "beam"
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Options:
    """A captioning job.

    Attributes:
        source: Folder of img2dataset's shards.
        out: Folder that gets the shards with captions.
        captioner: BLIP captioner: a folder in the hub's layout, or `OWNER/NAME[@REVISION]`.
        matcher: BLIP image-text matcher, likewise.
        candidates: Captions a picture.
        sampling: `nucleus` draws them, `beam` takes the likeliest that a beam search finds.
        top_p: Share of the probability that the nucleus holds, above 0 and up to 1.
        seed: Of the draws.
        prompt: What every caption goes on from; not part of it.
        precision: Of weights and activations.
        batch_size: Pictures a forward pass. Like `device`, it is no part of a result.
        device: Where the models run; `auto` takes a GPU where torch sees one.
        part: `i/n`: the i-th of n machines that share the shards, from 1.

    Raises:
        UserError: A value is out of its range.
    """

    source: Path
    out: Path
    captioner: str = CAPTIONER
    matcher: str = MATCHER
    candidates: int = 10
    sampling: str = NUCLEUS
    top_p: float = 0.9
    seed: int = 0
    prompt: str = PROMPT
    precision: str = PRECISIONS[0]
    batch_size: int = 16
    device: str = "auto"
    part: str = "1/1"

    def __post_init__(self) -> None:
        self._check_folders()
        _hold("--candidates", self.candidates, self.candidates >= 1, "at least 1")
        _hold("--batch-size", self.batch_size, self.batch_size >= 1, "at least 1")
        _hold("--top-p", self.top_p, 0 < self.top_p <= 1, "above 0 and up to 1")
        _hold("--sampling", self.sampling, self.sampling in (NUCLEUS, BEAM), "nucleus or beam")
        known = ", ".join(PRECISIONS)
        _hold("--precision", self.precision, self.precision in PRECISIONS, f"one of {known}")
        device = re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device)
        _hold("--device", self.device, bool(device), "auto, cpu, cuda or cuda:NUMBER")
        part, parts = self.share
        _hold("--part", self.part, 1 <= part <= parts, "i/n with i from 1 to n")

    def _check_folders(self) -> None:
        """See that the result does not lie among what it is made from.

        Raises:
            UserError: The source is no folder, or one folder is within the other.
        """
        source, out = self.source.resolve(), self.out.resolve()
        if not source.is_dir():
            raise UserError("no such folder", where=self.source, remedy="check --source")
        if out.is_relative_to(source) or source.is_relative_to(out):
            message = "source and result lie within each other"
            raise UserError(message, where=self.out, remedy="give another --out")

    @property
    def share(self) -> tuple[int, int]:
        """`part` as numbers (i, n); (0, 0) where it is not of that form."""
        found = re.fullmatch(r"(\d+)/(\d+)", self.part)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def arguments(self, captioner: str, matcher: str) -> dict[str, Any]:
        """What decides the captions, for a shard's record.

        Args:
            captioner: Identity of the model behind the name: its commit or digest.
            matcher: Likewise.
        """
        drawn = {"top_p": self.top_p, "seed": self.seed} if self.sampling == NUCLEUS else {}
        return {
            "captioner": captioner,
            "matcher": matcher,
            "candidates": self.candidates,
            "sampling": self.sampling,
            "prompt": self.prompt,
            "precision": self.precision,
            **drawn,
        }


def _hold(option: str, value: object, right: bool, form: str) -> None:
    """Refuse a value that is not right.

    Raises:
        UserError: It is not.
    """
    if not right:
        raise UserError(f"not {form}: {value!r}", where=option)
