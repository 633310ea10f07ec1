"""The frozen half of stage II, run once over every image that it will see."""

import sys
from typing import TYPE_CHECKING

from mmicl.config import Config
from mmicl.files import read_json, read_rows, write_json
from mmicl.paths import Paths
from mmicl.records import Sample
from mmicl.stages import StageContext

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.model.features import FeatureStore
    from mmicl.model.processor import MmiclProcessor
    from mmicl.model.views import View


def run(context: StageContext) -> None:
    """Compute what the store lacks; write data/features.json."""
    from mmicl.model.features import feature_key

    config, paths = context.config, context.paths
    model, processor = _load_model(config, paths)
    precision = config.features.precision
    store = _open_store(config, paths, feature_key(model, processor, precision))
    views = _list_views(paths, processor)
    computed = _fill(store, views, config, paths, model, processor)
    queries, hidden = store.shape or (0, 0)
    write_json(
        paths.features,
        {
            "key": store.key,
            "number": len(views),
            "shape": [queries, hidden],
            "precision": precision,
        },
    )
    context.facts.update(images=len(views), computed=computed)


def restore_features(config: Config, paths: Paths) -> None:
    """Compute again what the store has lost since data/features.json was written.

    The store lies outside DVC's outs: a fresh clone, or a disk that was tidied up, lacks it while
    this stage is up to date. A shard that is damaged counts as lost.

    Raises:
        DataError: data/features.json is missing, or of other weights than some are computed with.
    """
    from mmicl.model.loading import load_processor

    base = config.model
    store = _open_store(config, paths, read_json(paths.features)["key"])
    views = _list_views(
        paths, load_processor(base.base, base.revision, instruct=base.instruct_qformer)
    )
    if any(view.key not in store for view in views):
        _say("some are missing from the store, and are computed again")
        _fill(store, views, config, paths, *_load_model(config, paths))


def _load_model(
    config: Config, paths: Paths
) -> "tuple[Blip2ForConditionalGeneration, MmiclProcessor]":
    """The model with the weights of stage I."""
    import torch

    from mmicl.model.loading import load_model

    torch.set_num_threads(config.launch.threads)
    base = config.model
    return load_model(
        base.base, base.revision, instruct=base.instruct_qformer, trained=[paths.pretrained]
    )


def _open_store(config: Config, paths: Paths, key: str) -> "FeatureStore":
    """The store of a key, without the shards that are damaged."""
    from mmicl.model.features import FeatureStore, discard_damaged

    folder = paths.cache("features") / key
    for name in discard_damaged(folder):
        _say(f"{name} is damaged, and is computed again")
    return FeatureStore(folder, key, config.features.precision)


def _fill(
    store: "FeatureStore",
    views: "set[View]",
    config: Config,
    paths: Paths,
    model: "Blip2ForConditionalGeneration",
    processor: "MmiclProcessor",
) -> int:
    """Compute what the store lacks; returns how many views that was."""
    import torch

    from mmicl.images.store import ImageStore
    from mmicl.model.features import copy_encoder, move_encoder

    processes = config.launch.processes
    gpus = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    first, *others = gpus[:processes] or [torch.device("cpu")]
    replicas = [copy_encoder(model, device) for device in others]
    move_encoder(model, first)
    return store.ensure(
        views,
        ImageStore([paths.images(name) for name in config.datasets]),
        model,
        processor,
        workers=config.launch.workers,
        processes=1 if gpus else processes,
        replicas=replicas,
        on_progress=_show,
    )


def _list_views(paths: Paths, processor: "MmiclProcessor") -> "set[View]":
    """What stage II's samples show, those that it validates with included."""
    return {
        view
        for name in ("finetune", "val")
        for row in read_rows(paths.mic / f"{name}.parquet", Sample)
        for view in processor.views(row.prompt, row.images)
    }


def _show(done: int, number: int) -> None:
    """Say how far it is, now and then."""
    if done == number or done % 1024 < 32:
        _say(f"{done}/{number} images")


def _say(line: str) -> None:
    """Print one line."""
    sys.stdout.write(f"features: {line}\n")
    sys.stdout.flush()
