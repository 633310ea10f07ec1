"""Stage fetch@DATASET: official files from the dataset's source URI into data/raw."""

from pathlib import Path

from mmicl.errors import UserError
from mmicl.fetch import fetch_dataset
from mmicl.stages import StageContext


def run(context: StageContext) -> None:
    """Fetch the dataset that the context names."""
    if context.item is None:
        raise UserError("fetch needs a dataset", remedy="run mmicl stage fetch@DATASET")
    dataset = context.config.datasets[context.item]
    manifest = fetch_dataset(
        dataset.source,
        context.paths.raw(context.item),
        licence=dataset.licence,
        state=context.paths.cache("fetch"),
        root=context.paths.root,
        generate=render_world,
    )
    context.facts.update(
        source=manifest.source,
        licence=manifest.licence,
        files=len(manifest.files),
        bytes=sum(entry.size for entry in manifest.files),
    )


def render_world(name: str, options: dict[str, int], folder: Path) -> None:
    """Write one dataset of the procedural world; imported late, since folders do not need it."""
    from mmicl.world import generate

    generate(name, options, folder)
