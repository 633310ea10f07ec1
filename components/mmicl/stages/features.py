"""The frozen half of stage II, run once over every image that it will see."""

import os
import sys

from mmicl.files import read_rows, write_json
from mmicl.records import Sample
from mmicl.stages import StageContext


def run(context: StageContext) -> None:
    """Compute what the store lacks; write data/features.json."""
    config, paths = context.config, context.paths
    os.environ.setdefault("OMP_NUM_THREADS", str(config.launch.threads))
    from mmicl.images.store import ImageStore
    from mmicl.model.features import FeatureStore, feature_key
    from mmicl.model.loading import load_model

    model, processor = load_model(
        config.model.base, config.model.revision, trained=[paths.pretrained]
    )
    rows = [
        row
        for name in ("finetune", "val")
        for row in read_rows(paths.mic / f"{name}.parquet", Sample)
    ]
    references = {image for row in rows for image in row.images}
    precision = config.features.precision
    key = feature_key(model, processor, precision)
    store = FeatureStore(paths.cache("features") / key, key, precision)
    store.verify()
    computed = store.ensure(
        references,
        ImageStore([paths.images(name) for name in config.datasets]),
        model,
        processor,
        workers=config.launch.workers,
        on_progress=_show,
    )
    queries, hidden = store.shape or (0, 0)
    write_json(
        paths.features,
        {"key": key, "number": len(references), "shape": [queries, hidden], "precision": precision},
    )
    context.facts.update(images=len(references), computed=computed)


def _show(done: int, number: int) -> None:
    """Say how far it is, now and then."""
    if done == number or done % 1024 < 32:
        sys.stdout.write(f"features: {done}/{number} images\n")
        sys.stdout.flush()
