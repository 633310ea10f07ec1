"""Every path once. Outs of DVC are relative to the checkout; state lies outside DVC's outs."""

import os
from dataclasses import dataclass
from pathlib import Path

STATE_VARIABLE = "MMICL_STATE"
FINGERPRINT_VARIABLE, INPUTS_VARIABLE = "MMICL_FINGERPRINT", "MMICL_INPUTS"
"""A stage's name and the fingerprint of its run, and what that is of (JSON), from the process that
lets DVC run it."""
TRACE = "trace.json.gz"
"""What torch's profiler saw of some steps, in the run folder of a training stage."""


@dataclass(frozen=True)
class Paths:
    """The places of one checkout (`root`) and of the state that survives reruns (`state`)."""

    root: Path
    state: Path

    @classmethod
    def here(cls, root: Path | None = None) -> "Paths":
        """The checkout in the current folder; the state root may come from MMICL_STATE."""
        root = (root or Path.cwd()).resolve()
        return cls(root, Path(os.environ.get(STATE_VARIABLE) or root / ".mmicl").resolve())

    # --- DVC outs, one stage each -------------------------------------------------------------
    def raw(self, dataset: str) -> Path:
        """Official files of a dataset and their manifest.json (stage fetch)."""
        return self.root / "data" / "raw" / dataset

    def examples(self, dataset: str) -> Path:
        """Tables of examples, rejected records and pictures, manifest.json (stage ingest)."""
        return self.root / "data" / "examples" / dataset

    def images(self, dataset: str) -> Path:
        """The dataset's shards of the content-addressed image store (stage ingest)."""
        return self.root / "data" / "images" / dataset

    @property
    def bank(self) -> Path:
        """The instruction bank that build reads (stage augment)."""
        return self.root / "data" / "instructions.jsonl"

    @property
    def paraphrases(self) -> Path:
        """What the endpoint wrote, what was dropped and why, the bill (stage augment)."""
        return self.root / "reports" / "paraphrases.json"

    @property
    def accepted(self) -> Path:
        """Paraphrases that a person accepted: code, in git, no out of a stage."""
        return self.root / "components" / "mmicl" / "augment" / "accepted.yaml"

    @property
    def mic(self) -> Path:
        """manifest.json and a table of samples a part (stage build).

        pretrain.parquet, pretrain_val.parquet, finetune.parquet, val.parquet.
        """
        return self.root / "data" / "mic"

    def passed(self, stage: str) -> Path:
        """That the tables of a training stage passed the gate, by digests (stage validate)."""
        return self.root / "data" / "passed" / f"{stage}.json"

    @property
    def validation(self) -> Path:
        """Every expectation and its outcome (stage validate)."""
        return self.root / "reports" / "validation.json"

    @property
    def pretrained(self) -> Path:
        """Stage I's trained weights and curve (stage pretrain)."""
        return self.root / "models" / "pretrain"

    @property
    def features(self) -> Path:
        """Manifest of the cached Q-Former outputs (stage features)."""
        return self.root / "data" / "features.json"

    @property
    def finetuned(self) -> Path:
        """Stage II's trained weights and curve (stage finetune)."""
        return self.root / "models" / "finetune"

    def curve(self, stage: str) -> Path:
        """Loss and learning rate by step: a DVC plot (stages pretrain, finetune)."""
        return self.root / "reports" / "curves" / f"{stage}.csv"

    @property
    def scores(self) -> Path:
        """All scores with intervals and controls (stage evaluate)."""
        return self.root / "reports" / "scores.json"

    @property
    def metrics(self) -> Path:
        """The headline scores alone, as `dvc metrics show` prints them (stage evaluate)."""
        return self.root / "reports" / "metrics.json"

    @property
    def evaluation(self) -> Path:
        """The report of all scores for a person (stage evaluate)."""
        return self.root / "reports" / "evaluation.html"

    @property
    def predictions(self) -> Path:
        """Every request with the model's answer, per benchmark (stage evaluate)."""
        return self.root / "reports" / "predictions"

    @property
    def export(self) -> Path:
        """The whole model in the hub's layout (stage register)."""
        return self.root / "models" / "export"

    @property
    def gates(self) -> Path:
        """Each gate, its bar and what was reached (stage register)."""
        return self.root / "reports" / "gates.json"

    # --- state ---------------------------------------------------------------------------------
    def run(self, stage: str, fingerprint: str) -> Path:
        """Checkpoints, curve and record of one stage run."""
        return self.state / "runs" / stage.replace("@", "-") / fingerprint

    def cache(self, name: str) -> Path:
        """A cache that outlives reruns: features, predictions, paraphrases."""
        return self.state / "cache" / name

    def outcome(self, stage: str) -> Path:
        """Where a stage leaves how it ended (kind, one line).

        Of this checkout: workspaces share the state, and may run the same stage at one time.
        """
        return self.state / "outcomes" / self.root.name / f"{stage.replace('@', '-')}.json"

    @property
    def data_docs(self) -> Path:
        """The Data Docs site; its index is index.html."""
        return self.state / "data_docs"

    @property
    def mlflow_database(self) -> Path:
        """MLflow's SQLite file; artifacts lie beside it in mlflow/artifacts."""
        return self.state / "mlflow" / "mlflow.db"

    @property
    def summary(self) -> Path:
        """The last run's summary; no DVC out, since it holds times."""
        return self.root / "reports" / "summary.json"

    @property
    def ablation(self) -> Path:
        """ablation.json and index.html (flow mmicl-ablation); no DVC out."""
        return self.root / "reports" / "ablation"
