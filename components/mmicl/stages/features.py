"""The frozen half of stage II, run once over every image that it will see."""

import sys

from mmicl.files import read_rows, write_json
from mmicl.records import Sample
from mmicl.stages import StageContext


def run(context: StageContext) -> None:
    """Compute what the store lacks; write data/features.json."""
    config, paths = context.config, context.paths
    import torch

    from mmicl.images.store import ImageStore
    from mmicl.model.features import (
        FeatureStore,
        discard_damaged,
        feature_key,
        move_encoder,
    )
    from mmicl.model.loading import load_model

    torch.set_num_threads(config.launch.threads)
    model, processor = load_model(
        config.model.base,
        config.model.revision,
        instruct=config.model.instruct_qformer,
        trained=[paths.pretrained],
    )
    rows = [
        row
        for name in ("finetune", "val")
        for row in read_rows(paths.mic / f"{name}.parquet", Sample)
    ]
    views = {view for row in rows for view in processor.views(row.prompt, row.images)}
    precision = config.features.precision
    key = feature_key(model, processor, precision)
    folder = paths.cache("features") / key
    for name in discard_damaged(folder):
        _say(f"{name} is damaged, and is computed again")
    store = FeatureStore(folder, key, precision)
    gpu = torch.cuda.is_available()
    move_encoder(model, torch.device("cuda" if gpu else "cpu"))
    computed = store.ensure(
        views,
        ImageStore([paths.images(name) for name in config.datasets]),
        model,
        processor,
        workers=config.launch.workers,
        processes=1 if gpu else config.launch.processes,
        on_progress=_show,
    )
    queries, hidden = store.shape or (0, 0)
    write_json(
        paths.features,
        {"key": key, "number": len(views), "shape": [queries, hidden], "precision": precision},
    )
    context.facts.update(images=len(views), computed=computed)


def _show(done: int, number: int) -> None:
    """Say how far it is, now and then."""
    if done == number or done % 1024 < 32:
        _say(f"{done}/{number} images")


def _say(line: str) -> None:
    """Print one line."""
    sys.stdout.write(f"features: {line}\n")
    sys.stdout.flush()
