"""The runner with the real miniature over a small world: controls, cache, batches, bytes."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mmicl.augment.bank import shipped_bank
from mmicl.benchmarks import BENCHMARKS, answering
from mmicl.benchmarks.answering import AnswerCache, model_key, request_key
from mmicl.benchmarks.predictions import Answered, PredictionStream
from mmicl.benchmarks.requests import Protocol
from mmicl.benchmarks.runner import Asker, Result, run_benchmark, write_results
from mmicl.config import Control
from mmicl.errors import DataError
from mmicl.files import read_rows
from mmicl.images.store import ImageStore
from mmicl.mic.scheme import FULL_SCHEME
from mmicl.model.features import FeatureStore, feature_key
from mmicl.model.inference import Predictor
from mmicl.model.loading import load_model
from mmicl.records import Example
from mmicl.sources import EXAMPLES, READERS, ingest_dataset
from mmicl.world import generate

DATASETS = {
    "coco": "coco_caption", "mme": "mme", "pope": "pope", "scienceqa": "scienceqa",
    "vqav2": "vqav2", "winoground": "winoground",
}  # fmt: skip
LIMIT = 36


class CountingPredictor(Predictor):
    """A Predictor that knows how many prompts it was given."""

    asked = 0
    fails_at: int | None = None
    """The number of prompts at which it is interrupted, as by Ctrl-C."""

    def generate(
        self, prompts: Sequence[str], images: Sequence[Sequence[str]], max_new_tokens: int
    ) -> list[str]:
        self.asked += len(prompts)
        return super().generate(prompts, images, max_new_tokens)

    def score(
        self,
        prompts: Sequence[str],
        images: Sequence[Sequence[str]],
        candidates: Sequence[Sequence[str]],
    ) -> list[list[float]]:
        self.asked += len(prompts)
        if self.fails_at is not None and self.asked > self.fails_at:
            raise KeyboardInterrupt
        return super().score(prompts, images, candidates)


@dataclass(frozen=True)
class Bench:
    """A small world, and the miniature that looks at it."""

    examples: dict[str, list[Example]]
    predictor: CountingPredictor
    key: str

    def run(
        self,
        dataset: str,
        cache: Path,
        batch_size: int = 16,
        controls: Sequence[Control] = ("blank", "shuffled"),
        stream: Path | None = None,
    ) -> Result:
        self.predictor.batch_size = batch_size
        name = DATASETS[dataset]
        protocol = Protocol(BENCHMARKS[name], shipped_bank(), FULL_SCHEME, shots=0, seed=3)
        with AnswerCache(cache) as answers:
            kept = PredictionStream(stream) if stream else None
            asker = Asker(self.predictor, answers, max_new_tokens=8, stream=kept)
            return run_benchmark(
                protocol, self.examples[dataset], asker, limit=LIMIT, resamples=200,
                controls=controls,
            )  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("world")
    examples, stores = {}, []
    for name, reader in DATASETS.items():
        generate(name, {"n": 12, "seed": 5}, root / "raw" / name)
        stores.append(root / "images" / name)
        ingest_dataset(
            READERS[reader], root / "raw" / name, root / "examples" / name, stores[-1],
            name=name, max_quarantined=0, resplit=None, quarantine=root / "quarantine",
        )  # fmt: skip
        examples[name] = read_rows(root / "examples" / name / EXAMPLES, Example)
    model, processor = load_model("builtin:tiny")
    key = feature_key(model, processor, "fp32")
    features = FeatureStore(root / "features", key)
    predictor = CountingPredictor(model, processor, ImageStore(stores), features)
    return Bench(examples, predictor, model_key(model, processor))


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_a_second_run_asks_nothing_and_says_the_same(
    bench: Bench, dataset: str, tmp_path: Path
) -> None:
    bench.predictor.asked = 0
    first = bench.run(dataset, tmp_path)
    assert bench.predictor.asked > 0
    bench.predictor.asked = 0
    second = bench.run(dataset, tmp_path)
    assert bench.predictor.asked == 0
    assert second == first


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_answers_do_not_depend_on_the_batch(bench: Bench, dataset: str, tmp_path: Path) -> None:
    alone = bench.run(dataset, tmp_path / "1", batch_size=1)
    together = bench.run(dataset, tmp_path / "16", batch_size=16)
    for one, other in zip(alone.answers, together.answers, strict=True):
        assert one.text == other.text
        # sums over a candidate's tokens, rounded: float32 agrees to a few parts in 100,000
        assert one.scores == pytest.approx(other.scores, rel=1e-4, abs=2e-4)


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_the_report_holds_every_control_and_an_interval(
    bench: Bench, dataset: str, tmp_path: Path
) -> None:
    result = bench.run(dataset, tmp_path)
    assert result.report["n"] <= LIMIT
    assert result.report["metrics"]
    for name, found in result.report["metrics"].items():
        assert found["low"] <= found["value"] <= found["high"], name
        assert set(found["controls"]) == {"majority", "blank", "shuffled"}
        assert all(not math.isnan(value) for value in found["controls"].values())
    controls = {row.control for row in result.answers}
    assert controls == {"", "blank", "shuffled", "majority"}
    assert {row.images for row in result.answers if row.control == "blank"} <= {
        ("blank",) * count for count in (1, 2)
    }


@pytest.mark.parametrize("dataset", ["coco", "pope", "winoground"])
def test_text_only_is_one_more_control_and_changes_no_other(
    bench: Bench, dataset: str, tmp_path: Path
) -> None:
    without = bench.run(dataset, tmp_path)
    bare = bench.run(dataset, tmp_path, controls=("blank", "shuffled", "text_only"))
    assert [row for row in bare.answers if row.control != "text_only"] == without.answers
    added = [row for row in bare.answers if row.control == "text_only"]
    own = [row for row in bare.answers if row.control == ""]
    assert [row.id for row in added] == [row.id for row in own]
    assert all(row.images == () and "图" not in row.prompt for row in added)
    assert all(row.text for row in added if row.candidates)
    for name, found in bare.report["metrics"].items():
        assert set(found["controls"]) == {"majority", "blank", "shuffled", "text_only"}
        assert not math.isnan(found["controls"].pop("text_only"))
        assert found == without.report["metrics"][name]
    alone = bench.run(dataset, tmp_path, controls=())
    assert {row.control for row in alone.answers} == {"", "majority"}
    for name, found in alone.report["metrics"].items():
        assert set(found["controls"]) == {"majority"}
        assert found["value"] == without.report["metrics"][name]["value"]


def test_worked_examples_are_drawn_several_times(bench: Bench, tmp_path: Path) -> None:
    def run(shots: int, draws: int) -> Result:
        protocol = Protocol(
            BENCHMARKS["vqav2"], shipped_bank(), FULL_SCHEME, shots, seed=3, entry="vqav2-few"
        )
        with AnswerCache(tmp_path) as answers:
            kept = PredictionStream(tmp_path / "kept" / f"{draws}.jsonl")
            asker = Asker(bench.predictor, answers, max_new_tokens=8, stream=kept)
            return run_benchmark(
                protocol, bench.examples["vqav2"], asker, limit=6, resamples=50, draws=draws
            )

    one, several = run(2, 1), run(2, 3)
    assert "draws" not in one.report["metrics"]["accuracy"]
    found = several.report["metrics"]["accuracy"]
    values = found["draws"]["values"]
    assert len(values) == 3
    assert values[0] == found["value"] == one.report["metrics"]["accuracy"]["value"]
    assert found["draws"]["mean"] == pytest.approx(sum(values) / 3, abs=1e-3)
    own, again = several.answers[: len(one.answers)], several.answers[len(one.answers) :]
    assert own == one.answers
    asked = [row for row in own if row.control == ""]
    assert [(row.control, row.id) for row in again] == [
        (f"draw {number}", row.id) for number in (2, 3) for row in asked
    ]
    assert all(row.prompt != first.prompt for row, first in zip(again, asked * 2, strict=True))
    kept = {(row.control, row.id): row for row in read_stream(tmp_path / "kept" / "3.jsonl")}
    assert kept == {(row.control, row.id): row for row in several.answers
                    if row.control != "majority"}  # fmt: skip
    assert {row.benchmark for row in several.answers} == {"vqav2-few"}
    assert {row.benchmark for row in several.items} == {"vqav2-few"}
    assert all(row.id.startswith("vqav2-few/") for row in several.answers)
    assert "draws" not in run(0, 3).report["metrics"]["accuracy"]


def list_choices(bench: Bench) -> list[Example]:
    """ScienceQA's questions as plain multiple choice."""
    return [row.model_copy(update={"task": "choice"}) for row in bench.examples["scienceqa"]]


def test_the_report_says_what_it_could_not_compute(bench: Bench, tmp_path: Path) -> None:
    protocol = Protocol(BENCHMARKS["iconqa_txt"], shipped_bank(), FULL_SCHEME, 0, seed=3)
    with AnswerCache(tmp_path) as answers:
        asker = Asker(bench.predictor, answers, max_new_tokens=4)
        result = run_benchmark(protocol, list_choices(bench), asker, limit=4, resamples=50)
    assert set(result.report["metrics"]) == {"accuracy"}
    assert result.report["not_computed"] == {
        "accuracy by skill": "needs pid2skills.json when the dataset is read"
    }
    assert "not_computed" not in bench.run("pope", tmp_path).report


def test_worked_examples_are_recast_as_the_questions_are(bench: Bench, tmp_path: Path) -> None:
    protocol = Protocol(BENCHMARKS["aokvqa_direct"], shipped_bank(), FULL_SCHEME, 1, seed=3)
    with AnswerCache(tmp_path) as answers:
        asker = Asker(bench.predictor, answers, max_new_tokens=4)
        result = run_benchmark(protocol, list_choices(bench), asker, limit=4, resamples=50)
    assert all(len(json.loads(row.meta)["exemplars"]) == 1 for row in result.answers)
    assert all(row.kind == "generate" and "option" not in row.prompt for row in result.answers)


def test_blanked_requests_that_ask_the_same_are_asked_once(bench: Bench, tmp_path: Path) -> None:
    bench.predictor.asked = 0
    result = bench.run("pope", tmp_path)
    distinct = {(row.prompt, row.images) for row in result.answers if row.control != "majority"}
    assert bench.predictor.asked == len(distinct) < len(result.answers)


def test_equal_inputs_give_equal_bytes(bench: Bench, tmp_path: Path) -> None:
    written = []
    for run in ("one", "two"):
        results = {"pope": bench.run("pope", tmp_path / run / "cache")}
        scores, predictions = tmp_path / run / "scores.json", tmp_path / run / "predictions"
        write_results(scores, predictions, results)
        files = [scores, *sorted(predictions.iterdir())]
        written.append({path.name: path.read_bytes() for path in files})
    assert written[0] == written[1]
    assert set(written[0]) == {"scores.json", "pope.parquet", "items.parquet"}


@pytest.mark.parametrize("dataset", ["coco", "mme", "pope", "winoground"])
def test_item_values_average_to_every_metric(bench: Bench, dataset: str, tmp_path: Path) -> None:
    result = bench.run(dataset, tmp_path / "cache")
    name = DATASETS[dataset]
    write_results(tmp_path / "scores.json", tmp_path / "predictions", {name: result})
    rows = pq.read_table(tmp_path / "predictions" / "items.parquet").to_pylist()
    report = json.loads((tmp_path / "scores.json").read_text())["benchmarks"][name]
    for metric, found in report["metrics"].items():
        values = [row["value"] for row in rows if row["metric"] == metric]
        if dataset == "winoground":
            assert len(values) == report["n"]
        assert sum(values) / len(values) == pytest.approx(found["value"], abs=1e-3), metric
    # readers take the first metric for what an item earned
    assert BENCHMARKS[name].metrics[rows[0]["metric"]].ratio is not None


def test_a_run_goes_on_from_the_answers_that_a_kill_left(bench: Bench, tmp_path: Path) -> None:
    whole = bench.run("pope", tmp_path / "whole")
    (path,) = (tmp_path / "whole").glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / path.name).write_bytes(b"".join(lines[:10]) + lines[10][:20])
    bench.predictor.asked = 0
    assert bench.run("pope", torn) == whole
    assert bench.predictor.asked == len(lines) - 10
    bench.predictor.asked = 0
    assert bench.run("pope", torn) == whole
    assert bench.predictor.asked == 0


def read_stream(path: Path) -> list[Answered]:
    return [Answered.model_validate_json(line) for line in path.read_bytes().splitlines()]


def test_predictions_are_on_disk_as_soon_as_they_are_known(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pope.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(answering, "BATCHES_A_CALL", 1)
        bench.predictor.asked, bench.predictor.fails_at = 0, 20
        try:
            with pytest.raises(KeyboardInterrupt):
                bench.run("pope", tmp_path / "cache", batch_size=4, stream=path)
        finally:
            bench.predictor.fails_at = None
    begun = read_stream(path)
    assert len(begun) >= 16
    assert path.read_bytes().endswith(b"\n")
    with path.open("ab") as torn:
        torn.write(b'{"id": "pope/')
    whole = bench.run("pope", tmp_path / "cache", stream=path)
    wanted = {(row.control, row.id): row for row in whole.answers if row.control != "majority"}
    rows = read_stream(path)
    assert rows[: len(begun)] == begun
    assert len(rows) == len(wanted)
    assert {(row.control, row.id): row for row in rows} == wanted
    before = path.read_bytes()
    assert bench.run("pope", tmp_path / "cache", stream=path) == whole
    assert path.read_bytes() == before


def test_a_damaged_prediction_is_named(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "pope.jsonl"
    path.write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match=r"pope\.jsonl, line 1: not a kept prediction"):
        bench.run("pope", tmp_path / "cache", stream=path)


def test_a_damaged_answer_is_named(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text('{"key": "a"}\n')
    with pytest.raises(DataError, match=r"1\.jsonl, line 1: not a kept answer.*remove the file"):
        bench.run("pope", tmp_path)


def test_keys_tell_requests_and_models_apart(bench: Bench, tmp_path: Path) -> None:
    result = bench.run("vqav2", tmp_path)
    row = result.answers[0]
    assert request_key(row, 8) != request_key(row, 9)
    assert request_key(row, 8) != request_key(row.model_copy(update={"images": ("blank",)}), 8)
    assert request_key(row, 8) == request_key(row.model_copy(update={"id": "other"}), 8)
    model = bench.predictor.model
    weight = model.language_projection.weight
    before = weight.data.clone()
    weight.data[0, 0] += 1e-3
    try:
        assert model_key(model, bench.predictor.processor) != bench.key
    finally:
        weight.data.copy_(before)
    assert model_key(model, bench.predictor.processor) == bench.key


def test_without_a_feature_store_the_answers_are_the_same(bench: Bench, tmp_path: Path) -> None:
    one = bench.run("winoground", tmp_path / "with")
    bare = CountingPredictor(
        bench.predictor.model, bench.predictor.processor, bench.predictor.images, None
    )
    other = replace(bench, predictor=bare).run("winoground", tmp_path / "without")
    assert other.report == one.report
