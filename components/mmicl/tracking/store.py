"""The one door to MLflow: runs that are found again by tag, and what is written only once.

MLflow is imported when a Store is opened (seconds), never when this module is.
"""

import json
import math
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from filelock import FileLock

from mmicl.errors import UserError
from mmicl.files import hash_json
from mmicl.paths import Paths

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "mmicl"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

# Limits of mlflow.utils.validation (3.17).
_MAX_PARAM, _MAX_TAG, _MAX_INPUT_TAG, _MAX_DIGEST = 6000, 8000, 500, 36
_PARAMS_PER_BATCH, _TAGS_PER_BATCH, _METRICS_PER_BATCH = 100, 100, 1000
_NOT_IN_KEYS = re.compile(r"[^\w\-. :/]")


class Version(NamedTuple):
    """One version of a registered model."""

    name: str
    version: int
    run_id: str
    tags: dict[str, str]
    aliases: tuple[str, ...]


class Input(NamedTuple):
    """A dataset that went into a run: `source` is relative to the checkout."""

    name: str
    source: str
    digest: str
    tags: dict[str, str]


class Store:
    """MLflow on the SQLite file of a state folder, without a server.

    Everything it writes is written once: a run is found by its tags, and a value that is already
    there is left alone, so that calling again changes nothing.
    """

    def __init__(self, paths: Paths) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        # MLflow reads this once, and says at INFO that it makes its tables.
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        from mlflow import MlflowClient

        folder = paths.mlflow_database.parent
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # MLflow has no get-or-create: without a lock two writers make two runs.
        self._lock = FileLock(folder / "create.lock")
        with self._lock:
            self.client = MlflowClient(f"sqlite:///{paths.mlflow_database}")
            found = self.client.get_experiment_by_name(EXPERIMENT)
            self.experiment: str = (
                found.experiment_id
                if found
                else self.client.create_experiment(
                    EXPERIMENT,
                    artifact_location=(folder / "artifacts").as_uri(),
                    # The UI shows what concerns training, instead of what concerns chat.
                    tags={"mlflow.experimentKind": "custom_model_development"},
                )
            )

    def hold(self, name: str) -> FileLock:
        """A lock that one process of this machine at a time may hold, as a context manager."""
        return FileLock(self.folder / f"{name}.lock")

    # --- runs ----------------------------------------------------------------------------------
    def get_or_create(
        self, name: str, identity: Mapping[str, str], start: float | None = None
    ) -> str:
        """The id of the run with these tags; made, and marked as running, if there is none.

        Args:
            name: What a new run is called.
            identity: The tags that make it this run and no other.
            start: When a new run began, in seconds since 1970; now if left out.
        """
        with self._lock:
            found = self.find(identity)
            if found:
                return found[0].info.run_id
            run = self.client.create_run(
                self.experiment,
                start_time=round((start or time.time()) * 1000),
                tags=dict(identity),
                run_name=name,
            )
            return run.info.run_id

    def find(self, tags: Mapping[str, str]) -> list["Run"]:
        """All living runs with these tags, the newest first."""
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        return list(self.client.search_runs([self.experiment], query))

    def run(self, run_id: str) -> "Run":
        """A run with its latest params, metrics and tags.

        Raises:
            UserError: There is no such run.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            raise UserError(error.message, where=self.folder / "mlflow.db") from None

    def set_status(self, run_id: str, status: RunStatus, end: float | None = None) -> None:
        """Mark a run as running or ended; `end` in seconds since 1970, now if left out."""
        if self.run(run_id).info.status == status:
            return
        if status == "RUNNING":
            self.client.update_run(run_id, status=status)
        else:
            milliseconds = round((end or time.time()) * 1000)
            self.client.set_terminated(run_id, status=status, end_time=milliseconds)

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Write params that the run does not have yet, nested ones with dots.

        MLflow never changes a param: where one is there with another value, the first stays and
        the tag `mmicl.params_changed` names it. A value beyond MLflow's limit is cut and ends in
        the hash of the whole.
        """
        from mlflow.entities import Param

        wanted = {
            clean_key(key): shorten(_write_value(value), _MAX_PARAM)
            for key, value in flatten(params).items()
        }
        present = self.run(run_id).data.params
        new = [Param(key, value) for key, value in wanted.items() if key not in present]
        for batch in _batches(new, _PARAMS_PER_BATCH):
            self.client.log_batch(run_id, params=batch)
        changed = sorted(key for key in wanted if present.get(key, wanted[key]) != wanted[key])
        if changed:
            self.set_tags(run_id, {"mmicl.params_changed": ", ".join(changed)})

    def log_metrics(self, run_id: str, values: Mapping[str, float]) -> None:
        """Write single figures; one that already has this value is left alone."""
        from mlflow.entities import Metric

        present, now = self.run(run_id).data.metrics, _now()
        new = [
            Metric(clean_key(key), float(value), now, 0)
            for key, value in values.items()
            if present.get(clean_key(key)) != float(value)
        ]
        for batch in _batches(new, _METRICS_PER_BATCH):
            self.client.log_batch(run_id, metrics=batch)

    def log_curve(
        self,
        run_id: str,
        rows: Iterable[tuple[int, Mapping[str, float]]],
        last: dict[str, int] | None = None,
    ) -> None:
        """Write the points (step, values) that lie beyond the last step already there.

        Args:
            run_id: The run.
            rows: Points in order of their steps; values that are no number are left out, since
                MLflow's charts cannot show them.
            last: Last step by name, kept by a caller who comes again; asked of MLflow if unknown.
        """
        from mlflow.entities import Metric

        last = {} if last is None else last
        new, now = [], _now()
        for step, values in rows:
            for name, value in values.items():
                key = clean_key(name)
                if key not in last:
                    last[key] = self.last_step(run_id, key)
                if step > last[key] and math.isfinite(value):
                    new.append(Metric(key, float(value), now, step))
                    last[key] = step
        for batch in _batches(new, _METRICS_PER_BATCH):
            self.client.log_batch(run_id, metrics=batch)

    def last_step(self, run_id: str, key: str) -> int:
        """The last step a metric was written for; -1 if it never was."""
        history = self.client.get_metric_history(run_id, clean_key(key))
        return max((point.step for point in history), default=-1)

    def set_tags(self, run_id: str, tags: Mapping[str, object]) -> None:
        """Write tags; one that already has this value is left alone."""
        from mlflow.entities import RunTag

        present = self.run(run_id).data.tags
        wanted = {clean_key(key): shorten(str(value), _MAX_TAG) for key, value in tags.items()}
        new = [RunTag(key, value) for key, value in wanted.items() if present.get(key) != value]
        for batch in _batches(new, _TAGS_PER_BATCH):
            self.client.log_batch(run_id, tags=batch)

    def log_inputs(self, run_id: str, inputs: Sequence[Input]) -> None:
        """Write the datasets that went into a run, with tags; those present are left alone."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        known = self.run(run_id).inputs
        present = {
            (item.dataset.name, item.dataset.digest)
            for item in (known.dataset_inputs if known else [])
        }
        new = [
            DatasetInput(
                Dataset(
                    name=item.name,
                    digest=item.digest[:_MAX_DIGEST],
                    source_type="local",
                    source=json.dumps({"uri": item.source}),
                ),
                [
                    InputTag(key, shorten(value, _MAX_INPUT_TAG))
                    for key, value in {"mlflow.data.context": item.name, **item.tags}.items()
                ],
            )
            for item in inputs
            if (item.name, item.digest[:_MAX_DIGEST]) not in present
        ]
        if new:
            self.client.log_inputs(run_id, new)

    def log_artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Copy a file, or a folder's content, into the run's artifacts."""
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), folder)
        else:
            self.client.log_artifact(run_id, str(path), folder)

    def log_text(self, run_id: str, text: str, name: str) -> None:
        """Write a text artifact."""
        self.client.log_text(run_id, text, name)

    def artifact(self, run_id: str, name: str) -> Path | None:
        """A run's artifact, a file or a folder on this machine; None if it has none such."""
        from mlflow.exceptions import MlflowException

        try:
            path = Path(self.client.download_artifacts(run_id, name))
        except (MlflowException, OSError):
            return None
        return path if path.exists() else None

    # --- registry ------------------------------------------------------------------------------
    def versions(self, name: str) -> list[Version]:
        """All versions of a registered model, the newest first; none if there is no such model."""
        from mlflow.exceptions import MlflowException

        try:
            model = self.client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return []
        found = [
            Version(
                name=name,
                version=int(item.version),
                run_id=item.run_id or "",
                tags=dict(item.tags),
                aliases=tuple(
                    sorted(
                        alias
                        for alias, number in model.aliases.items()
                        if int(number) == int(item.version)
                    )
                ),
            )
            for item in self.client.search_model_versions(f"name='{name}'")
        ]
        return sorted(found, key=lambda item: -item.version)

    def create_version(self, name: str, run_id: str, folder: str, tags: Mapping[str, str]) -> int:
        """Register the artifacts under `folder` of a run as a new version of a model."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        uri = f"{self.run(run_id).info.artifact_uri}/{folder}"
        made = self.client.create_model_version(name, uri, run_id=run_id, tags=dict(tags))
        return int(made.version)

    def tag_version(self, name: str, version: int, tags: Mapping[str, object]) -> None:
        """Write tags of a version."""
        for key, value in tags.items():
            self.client.set_model_version_tag(name, str(version), clean_key(key), str(value))

    def describe_version(self, name: str, version: int, text: str) -> None:
        """Write the text that the registry shows beside a version."""
        self.client.update_model_version(name, str(version), text)

    def set_alias(self, name: str, version: int, alias: str) -> None:
        """Point an alias at a version; it leaves the version that had it."""
        self.client.set_registered_model_alias(name, alias, str(version))


def find_version(store: Store, model: str) -> Version:
    """The version that `NAME` (the newest), `NAME@alias` or `NAME/version` names.

    Raises:
        UserError: There is no such model, alias or version; names those there are.
    """
    name, _, alias = model.partition("@")
    name, _, number = name.partition("/")
    known = store.versions(name)
    for item in known:
        if (not alias or alias in item.aliases) and (not number or str(item.version) == number):
            return item
    there = ", ".join(
        f"{item.name}/{item.version}" + "".join(f" @{alias}" for alias in item.aliases)
        for item in known
    )
    raise UserError(
        "no such registered model" if not known else "no such version",
        where=model,
        remedy=f"there is {there}" if known else "run the chain first: mmicl run",
    )


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots; an empty mapping stays as `{}`."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            flat |= flatten(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item
    return flat


def clean_key(key: str) -> str:
    """A key with the characters that MLflow allows."""
    return _NOT_IN_KEYS.sub("_", key)


def shorten(text: str, limit: int) -> str:
    """The text, or its beginning with the hash of the whole, at most `limit` characters long."""
    if len(text) <= limit:
        return text
    ending = f"… (cut; sha256 {hash_json(text)})"
    return text[: limit - len(ending)] + ending


def _write_value(value: Any) -> str:
    """A param as params.yaml would have it: null and true, not None and True."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _batches(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _now() -> int:
    return round(time.time() * 1000)
