"""One thin module a DVC stage: read the config, call the parts, write the outs.

Each module has `run(context: StageContext) -> None`; `python -m mmicl.stages NAME [ITEM]` calls it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmicl.config import Config
from mmicl.paths import Paths


@dataclass(frozen=True)
class StageContext:
    """What a stage is given. `facts` (counts, figures) end up in its record and in MLflow."""

    stage: str
    """The stage's DVC name, such as `ingest@coco`."""
    item: str | None
    """The member of a stage group, such as `coco`."""
    config: Config
    paths: Paths
    fingerprint: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def run_folder(self) -> Path:
        """Where checkpoints, curves and the record of this very run live; outlives DVC's outs."""
        return self.paths.run(self.stage, self.fingerprint)
