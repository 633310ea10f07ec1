"""Bringing MLflow in line with what lies on disk; calling it again changes nothing."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmicl.config import Config
from mmicl.errors import UserError
from mmicl.files import hash_file, read_json
from mmicl.paths import TRACE, Paths
from mmicl.tracking.chain import Chain, StageOnDisk, dump_params, read_chain, read_curve
from mmicl.tracking.evaluation import add_champion
from mmicl.tracking.provenance import describe
from mmicl.tracking.runs import PIPELINE_VARIABLE, get_stage_run
from mmicl.tracking.samples import draw_samples
from mmicl.tracking.store import NOTE_TAG, Input, Store, Version, flatten
from mmicl.tracking.versions import CHAMPION, Registered, find_champion, register_version


def sync(
    paths: Paths,
    config: Config,
    pipeline_run_id: str | None = None,
    *,
    registering: str | None = None,
) -> Registered:
    """Write the chain on disk into MLflow: runs, params, scores, inputs, artifacts, the model.

    What is there already is left alone, so it may be called at any time, by anyone, and after the
    database was deleted. Only stages whose outs are current count (`chain.read_chain`): scores of
    other params are never written beside these.

    Args:
        paths: The checkout.
        config: Its params.
        pipeline_run_id: The run to write the whole to. None means that of MMICL_PIPELINE_RUN, or
            the one that this state of the chain already has, or a new one.
        registering: Fingerprint of the register stage while that is running.

    Raises:
        UserError: Nothing ran in this checkout yet and no pipeline run was named, or there is no
            such run.
        DataError: A file that a stage left is not what it should be.
    """
    chain = read_chain(paths, ("register", registering) if registering else None)
    given = pipeline_run_id or os.environ.get(PIPELINE_VARIABLE)
    if not chain.stages and given is None:
        raise UserError("no stage ran here yet", where=paths.root, remedy="run mmicl run")
    store = Store(paths)
    with store.hold("sync"):
        pipeline = given or _find_pipeline(store, config, chain)
        run_ids = {
            name: _write_stage(store, paths, stage, pipeline)
            for name, stage in chain.stages.items()
        }
        lineage = _write_pipeline(store, paths, config, chain, pipeline, run_ids)
        if given is None and store.run(pipeline).info.status == "RUNNING":
            store.set_status(pipeline, "FINISHED")  # else whoever began it ends it
        name, stale = config.register_.name, tuple(chain.stale)
        if "register" not in chain.stages:
            return Registered(name, None, (), pipeline, stale=stale)
        version = register_version(
            store, paths, name, chain.stages["register"], run_ids["register"], lineage
        )
        store.set_tags(pipeline, {"mmicl.model": f"{name}/{version.version}"})
        if "evaluate" in chain.stages and paths.evaluation.exists():
            _write_evaluation(store, paths, pipeline, version)
        return Registered(
            name,
            version.version,
            version.aliases,
            pipeline,
            version.tags["mmicl.champion"],
            stale,
        )


def _find_pipeline(store: Store, config: Config, chain: Chain) -> str:
    """The newest pipeline run of this very state of the chain, or a new one."""
    tags = {"mmicl.kind": "pipeline", "mmicl.chain": chain.key(config)}
    return store.get_or_create(f"{config.profile} {tags['mmicl.chain'][:8]}", tags)


# --- stage runs ----------------------------------------------------------------------------------


def _write_stage(store: Store, paths: Paths, stage: StageOnDisk, pipeline: str) -> str:
    """Make sure that a stage has its run, with all that it left behind; returns the run's id."""
    start, end = stage.span or (None, None)
    run_id = get_stage_run(store, stage.name, stage.fingerprint, pipeline, start)
    store.log_params(run_id, stage.params)
    store.log_curve(run_id, read_curve(paths, stage))
    tags: dict[str, object] = {f"dvc.md5 {path}": md5 for path, md5 in stage.outs.items()}
    if stage.record is None:
        tags["mmicl.record"] = "absent: its outs come from DVC's cache or are being written"
    else:
        facts = flatten({"facts": stage.record["facts"]})
        numbers = {key: float(value) for key, value in facts.items() if _is_number(value)}
        tags |= {key: value for key, value in facts.items() if key not in numbers}
        tags |= {
            "mmicl.record": "present",
            "mmicl.revision": stage.record["code"]["revision"],
            "mmicl.dirty": bool(stage.record["code"]["dirty"]),
        }
        store.log_metrics(run_id, {**numbers, "seconds": stage.record["seconds"]})
    store.set_tags(run_id, tags)
    if stage.group in ("pretrain", "finetune"):
        tables = (Path(path) for path in stage.deps if Path(path).is_relative_to("data/mic"))
        store.log_inputs(run_id, [_input(it.stem, it.as_posix(), stage.deps) for it in tables])
    for path in _list_artifacts(paths, stage):
        store.log_artifact(run_id, path)
    store.set_status(run_id, "FINISHED", end)
    return run_id


def _list_artifacts(paths: Paths, stage: StageOnDisk) -> list[Path]:
    """The small files of a stage that a person wants to see beside its run."""
    member = stage.name.partition("@")[2]
    files = {
        "ingest": [paths.examples(member) / "manifest.json"],
        "augment": [paths.bank],
        "build": [paths.mic / "manifest.json"],
        "validate": [paths.validation],
        "pretrain": [paths.curve("pretrain"), stage.folder / TRACE],
        "features": [paths.features],
        "finetune": [paths.curve("finetune"), stage.folder / TRACE],
        "evaluate": [paths.scores, paths.evaluation],
        "register": [paths.gates],
    }
    return [path for path in files.get(stage.group, []) if path.exists()]


# --- the pipeline run ----------------------------------------------------------------------------


def _write_pipeline(
    store: Store,
    paths: Paths,
    config: Config,
    chain: Chain,
    run_id: str,
    run_ids: Mapping[str, str],
) -> dict[str, Any]:
    """Write what the whole came to into the pipeline run; returns the lineage."""
    store.log_params(run_id, dump_params(config))
    if "evaluate" in chain.stages:
        store.log_metrics(run_id, flatten_scores(read_json(paths.scores)))
    store.log_inputs(run_id, _list_inputs(config, chain))
    flow_run = store.run(run_id).data.tags.get("mmicl.flow_run", "")
    lineage = describe(paths, config, chain, run_ids, {"run": run_id, "flow_run": flow_run})
    lock = paths.root / "dvc.lock"
    stale = "; ".join(f"{name}: {why}" for name, why in chain.stale.items())
    store.set_tags(
        run_id,
        {
            "mmicl.kind": "pipeline",
            "mmicl.chain": chain.key(config),
            "mmicl.profile": config.profile,
            "mmicl.revision": lineage["code"]["revision"],
            "mmicl.dirty": bool(lineage["code"]["dirty"]),
            "mmicl.dvc_lock": hash_file(lock) if lock.exists() else "",
            **{f"mmicl.run.{name}": made_by for name, made_by in run_ids.items()},
            "mmicl.stale": stale or "none",
            NOTE_TAG: _write_note(store, chain, run_id, run_ids),
        },
    )
    for path, folder, stage in (
        (paths.root / "params.yaml", None, None),
        (lock, None, None),
        (paths.scores, None, "evaluate"),
        (paths.validation, None, "validate"),
        (paths.data_docs, "data_docs", "validate"),
    ):
        if path.exists() and (stage is None or stage in chain.stages):
            store.log_artifact(run_id, path, folder)
    if "evaluate" in chain.stages:
        store.log_text(run_id, draw_samples(paths, config), "samples.html")
    return lineage


def _write_evaluation(store: Store, paths: Paths, run_id: str, version: Version) -> None:
    """Keep the report of the evaluation with the champion in it."""
    page = add_champion(
        paths.evaluation.read_text(encoding="utf-8"),
        read_json(paths.scores)["benchmarks"],
        version.tags["mmicl.champion"],
        None if CHAMPION in version.aliases else find_champion(store, version.name),
    )
    store.log_text(run_id, page, paths.evaluation.name)


def flatten_scores(scores: Mapping[str, Any]) -> dict[str, float]:
    """reports/scores.json as figures: `vqav2.accuracy`, and the same with `_low`, `_majority`, ….

    A figure that a benchmark does not have (null) is left out.
    """
    figures: dict[str, float | None] = {}
    for benchmark, result in scores["benchmarks"].items():
        figures[f"{benchmark}.n"] = result["n"]
        for metric, found in result["metrics"].items():
            key = f"{benchmark}.{metric}"
            figures[key] = found["value"]
            for name in ("low", "high", "chance"):
                figures[f"{key}_{name}"] = found[name]
            for control, value in found["controls"].items():
                figures[f"{key}_{control}"] = value
    return {key: float(value) for key, value in figures.items() if value is not None}


def _list_inputs(config: Config, chain: Chain) -> list[Input]:
    """The datasets as they were fetched, and the training data that was built of them."""
    inputs = []
    for name, dataset in config.datasets.items():
        if stage := chain.stages.get(f"fetch@{name}"):
            found = _input(name, f"data/raw/{name}", stage.outs)
            inputs.append(
                found._replace(
                    tags={**found.tags, "source": dataset.source, "licence": dataset.licence}
                )
            )
    if stage := chain.stages.get("build"):
        inputs.append(_input("mic", "data/mic", stage.outs))
    return inputs


def _input(name: str, path: str, md5s: Mapping[str, str]) -> Input:
    """A dataset input with the md5 that DVC knows it by."""
    return Input(name, path, md5s[path], {"dvc.md5": md5s[path], "dvc.path": path})


def _write_note(store: Store, chain: Chain, run_id: str, run_ids: Mapping[str, str]) -> str:
    """The pipeline run's description: which runs made the stages' outs, with links."""
    lines = ["| stage | run | made by this pipeline run | seconds |", "|---|---|---|---|"]
    for name, stage in chain.stages.items():
        own = store.run(run_ids[name]).data.tags.get("mlflow.parentRunId") == run_id
        link = f"#/experiments/{store.experiment}/runs/{run_ids[name]}"
        seconds = f"{stage.record['seconds']:.1f}" if stage.record else "not recorded"
        lines.append(
            f"| {name} | [{stage.fingerprint[:8]}]({link}) "
            f"| {'yes' if own else 'no, up to date'} | {seconds} |"
        )
    lines += [f"\n`{name}` is not current: {why}" for name, why in chain.stale.items()]
    return "\n".join(lines)


def _is_number(value: object) -> bool:
    """Whether a fact can be a metric; others become tags."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
