"""Claims against scores: paired over items, pooled over seeds, and told plainly."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmicl.ablation.comparison import Scored, interval_of_mean, judge_claims, judge_metric
from mmicl.ablation.report import draw_page, write_report
from mmicl.config import Ablation, Claim
from mmicl.files import read_json
from mmicl.tracking.pairs import ITEMS, read_all_items

CLAIM = Claim(text="The scheme helps.", better="full", worse="bare", metrics=["vqav2.accuracy"],
              published={"vqav2.accuracy": 15.8})  # fmt: skip
GRID = Ablation(seeds=[1, 2], common=[], variants={"full": [], "bare": ["seed=3"]}, claims=[CLAIM])


def scored(
    folder: Path, variant: str, seed: int, values: list[float], shift: int = 0, **controls: float
) -> Scored:
    """A variant that answered 60 items in 20 groups; `values` repeat over the items."""
    own = folder / f"{variant}-{seed}"
    own.mkdir()
    rows = range(60)
    table = {
        "benchmark": ["vqav2"] * 60,
        "metric": ["accuracy"] * 60,
        "item": [f"item {row + shift}" for row in rows],
        "group": [f"group {row % 20}" for row in rows],
        "value": [values[row % len(values)] for row in rows],
    }
    pq.write_table(pa.table(table), own / ITEMS)
    value = sum(table["value"]) / 60
    bounds = {"low": value - 5, "high": value + 5}
    score = {"value": value, **bounds, "chance": 10.0, "controls": controls}
    benchmarks = {"vqav2": {"headline": ["accuracy"], "metrics": {"accuracy": score}}}
    return Scored(variant, seed, benchmarks, read_all_items(own))


def test_a_gain_under_every_seed_holds(tmp_path: Path) -> None:
    found = [
        scored(tmp_path, "full", 1, [100.0, 100.0, 0.0]),
        scored(tmp_path, "bare", 1, [100.0, 0.0, 0.0]),
        scored(tmp_path, "full", 2, [100.0]),
        scored(tmp_path, "bare", 2, [0.0, 100.0, 100.0]),
    ]
    (finding,) = judge_claims([CLAIM], found)
    assert finding.verdict == "holds"
    assert finding.compared is not None
    assert finding.compared.by_seed == {1: pytest.approx(100 / 3), 2: pytest.approx(100 / 3)}
    assert finding.compared.difference.mean == pytest.approx(100 / 3)
    assert (finding.compared.items, finding.reason) == (60, "")


@pytest.mark.parametrize(
    ("full", "bare", "verdict", "reason"),
    [
        (
            [50.0],
            [100.0],
            "reversed",
            "no reason is shown by these figures; one seed alone: an accident of training is not",
        ),
        (
            [100.0, 0.0],
            [0.0, 100.0],
            "not shown",
            r"60 items show differences from about \d",
        ),
        ([96.0], [96.0], "not shown", r"near the ceiling \(96.0 and 96.0\)"),
        ([11.0], [12.0], "reversed", r"neither is above chance \(11.0 and 12.0\): not shown to"),
        (
            [11.0],
            [30.0],
            "reversed",
            r"full \(11.0\) is not above chance: not shown to use the pic",
        ),
    ],
)
def test_what_is_not_gained_is_not_said_to_hold(
    tmp_path: Path, full: list[float], bare: list[float], verdict: str, reason: str
) -> None:
    found = [scored(tmp_path, "full", 1, full), scored(tmp_path, "bare", 1, bare)]
    finding = judge_metric(CLAIM, "vqav2.accuracy", found)
    assert finding.verdict == verdict
    assert re.search(reason, finding.reason)


def test_of_a_reversal_the_figures_say_how_many_seeds_agree(tmp_path: Path) -> None:
    def judge(name: str, full: list[float], **controls: float) -> str:
        own = tmp_path / name
        own.mkdir()
        found = [
            scored(own, "full", seed, [value], 0, **controls) for seed, value in enumerate(full)
        ]
        found += [scored(own, "bare", seed, [80.0], 0, **controls) for seed in range(len(full))]
        finding = judge_metric(CLAIM, "vqav2.accuracy", found)
        assert finding.verdict == "reversed"
        return finding.reason

    assert judge("all", [60.0, 61.0, 62.0]) == (
        "no reason is shown by these figures; 3 of 3 seeds agree, and the 95 % interval of their "
        "mean [-21.5, -16.5] leaves zero out"
    )
    assert judge("some", [60.0, 85.0]).endswith(
        "1 of 2 seeds agree, and the 95 % interval of their mean [-166.3, +151.3] holds zero"
    )
    assert judge("controls", [60.0, 61.0], blank=90.0, majority=20.0).startswith(
        "neither is above blank (60.5 and 80.0): not shown to use the pictures; 2 of 2"
    )
    assert judge("one", [60.0, 61.0], blank=70.0).startswith("full (60.5) is not above blank: not")


def test_the_interval_of_a_mean_is_students_of_any_number_of_values() -> None:
    values = [float(value) for value in range(25)]  # mean 12, deviation 7.360
    assert interval_of_mean(values) == pytest.approx((8.962, 15.038), abs=1e-3)  # t(24) = 2.0639


def test_one_seed_that_disagrees_is_enough_to_doubt(tmp_path: Path) -> None:
    found = [
        scored(tmp_path, "full", 1, [100.0]),
        scored(tmp_path, "bare", 1, [0.0]),
        scored(tmp_path, "full", 2, [40.0]),
        scored(tmp_path, "bare", 2, [50.0]),
    ]
    finding = judge_metric(CLAIM, "vqav2.accuracy", found)
    assert finding.compared is not None
    assert finding.compared.difference.low > 0
    assert finding.verdict == "not shown"
    assert finding.reason == "seeds disagree (-10.0 to +100.0)"


def test_other_items_are_not_compared(tmp_path: Path) -> None:
    found = [scored(tmp_path, "full", 1, [100.0]), scored(tmp_path, "bare", 1, [0.0], shift=1)]
    finding = judge_metric(CLAIM, "vqav2.accuracy", found)
    assert (finding.verdict, finding.compared) == ("not measured", None)
    assert judge_metric(CLAIM, "vqav2.accuracy", found[:1]).verdict == "not measured"
    assert judge_metric(CLAIM, "pope.accuracy", found).verdict == "not measured"


def test_the_report_tells_every_claim_and_score(tmp_path: Path) -> None:
    found = [scored(tmp_path, "full", 1, [100.0]), scored(tmp_path, "bare", 1, [0.0])]
    findings = judge_claims(GRID.claims, found)
    write_report(tmp_path / "ablation", GRID, found, findings)
    told = read_json(tmp_path / "ablation" / "ablation.json")
    assert told["findings"][0]["verdict"] == "holds"
    assert told["findings"][0]["difference"]["mean"] == 100.0
    assert [(run["variant"], run["seed"]) for run in told["runs"]] == [("full", 1), ("bare", 1)]
    page = (tmp_path / "ablation" / "index.html").read_text()
    assert "2 of 4 runs" in page
    assert "+100.0 [+100.0, +100.0]" in page
    assert "<b>-100.0 [-100.0, -100.0]</b>" in page  # bare beside full
    assert '<td class="figure">+15.8</td>' in page  # the paper's own
    assert told["differences"][0]["variant"] == "bare"
    assert '<img alt="Differences" src="data:image/png;base64,' in page
    table = (tmp_path / "ablation" / "findings.md").read_text().splitlines()
    assert table[0].startswith("| claim | better | worse | metric | difference | by seed | paper |")
    assert "| +100.0 [+100.0, +100.0] | +100.0 | +15.8 | holds |" in table[2]
    assert (tmp_path / "ablation" / "findings.png").read_bytes()[:4] == b"\x89PNG"
    assert "not measured" in draw_page(GRID, [], judge_claims(GRID.claims, []), {}, b"")
