"""The frozen half of stage II, run once over every image that it will see."""

import sys
from typing import TYPE_CHECKING

from mmicl.config import Config
from mmicl.files import read_json, read_rows, write_json
from mmicl.paths import Paths
from mmicl.records import Sample
from mmicl.stages import StageContext

if TYPE_CHECKING:
    from mmicl.model.features import FeatureStore
    from mmicl.model.processor import MmiclProcessor
    from mmicl.model.views import View


def run(context: StageContext) -> None:
    """Compute what the store lacks; write data/features.json."""
    store, number, computed = _fill(context.config, context.paths)
    queries, hidden = store.shape or (0, 0)
    precision = context.config.features.precision
    write_json(
        context.paths.features,
        {"key": store.key, "number": number, "shape": [queries, hidden], "precision": precision},
    )
    context.facts.update(images=number, computed=computed)


def restore_features(config: Config, paths: Paths) -> None:
    """Compute again what the store has lost since data/features.json was written.

    The store lies outside DVC's outs: a fresh clone, or a disk that was tidied up, lacks it while
    this stage is up to date. A shard that is damaged counts as lost.

    Raises:
        DataError: data/features.json is missing or of other weights.
    """
    from mmicl.model.features import FeatureStore
    from mmicl.model.loading import load_processor

    base, key = config.model, read_json(paths.features)["key"]
    _discard_damaged(paths, key)
    store = FeatureStore(paths.cache("features") / key, key, config.features.precision)
    processor = load_processor(base.base, base.revision, instruct=base.instruct_qformer)
    if any(view.key not in store for view in _list_views(paths, processor)):
        _say("some are missing from the store, and are computed again")
        _fill(config, paths)


def _fill(config: Config, paths: Paths) -> "tuple[FeatureStore, int, int]":
    """Compute what the store of the stage I weights lacks: the store, views in all, computed."""
    import torch

    from mmicl.images.store import ImageStore
    from mmicl.model.features import FeatureStore, feature_key, move_encoder
    from mmicl.model.loading import load_model

    torch.set_num_threads(config.launch.threads)
    base, precision = config.model, config.features.precision
    model, processor = load_model(
        base.base, base.revision, instruct=base.instruct_qformer, trained=[paths.pretrained]
    )
    views = _list_views(paths, processor)
    key = feature_key(model, processor, precision)
    _discard_damaged(paths, key)
    store = FeatureStore(paths.cache("features") / key, key, precision)
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
    return store, len(views), computed


def _list_views(paths: Paths, processor: "MmiclProcessor") -> "set[View]":
    """What stage II's samples show, those that it validates with included."""
    return {
        view
        for name in ("finetune", "val")
        for row in read_rows(paths.mic / f"{name}.parquet", Sample)
        for view in processor.views(row.prompt, row.images)
    }


def _discard_damaged(paths: Paths, key: str) -> None:
    from mmicl.model.features import discard_damaged

    for name in discard_damaged(paths.cache("features") / key):
        _say(f"{name} is damaged, and is computed again")


def _show(done: int, number: int) -> None:
    """Say how far it is, now and then."""
    if done == number or done % 1024 < 32:
        _say(f"{done}/{number} images")


def _say(line: str) -> None:
    """Print one line."""
    sys.stdout.write(f"features: {line}\n")
    sys.stdout.flush()
