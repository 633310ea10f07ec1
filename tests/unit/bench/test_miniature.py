"""The study of the miniature: pooling over seeds, tables, and what may run side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import miniature
import pytest
from miniature import VARIANTS, parse_options, plan_batches, plan_study, write_study
from miniature_tables import STAGES, WHOLE, fill_markers, pool, pool_variant, write_tables

from mmicl.errors import UserError
from mmicl.files import read_json

PAGE = Path(__file__).resolve().parents[3] / "docs" / "miniature.md"


def score(value: float, low: float, high: float, **controls: float | None) -> dict[str, Any]:
    chance = controls.pop("chance", 50.0)
    return {"value": value, "low": low, "high": high, "chance": chance, "controls": controls}


FIRST = score(70.0, 66.0, 74.0, majority=55.0, blank=60.0, shuffled=None)
SECOND = score(60.0, 52.0, 68.0, majority=55.0, blank=48.0, shuffled=None)


def run(seed: int, variant: str, found: dict[str, Any]) -> dict[str, Any]:
    result = {
        "n": 90, "headline": ["accuracy", "yes_ratio"],
        "metrics": {"accuracy": found, "f1": found, "yes_ratio": found},
    }  # fmt: skip
    return {"seed": seed, "variant": variant, "benchmarks": {"pope": result}}


RUNS = [run(1, WHOLE, FIRST), run(2, WHOLE, SECOND), run(1, "none", SECOND)]


def test_means_over_seeds_and_the_worst_seed() -> None:
    pooled = pool("accuracy", [FIRST, SECOND], 90)
    assert (pooled.seeds, pooled.value, pooled.low, pooled.high) == (2, 65.0, 59.0, 71.0)
    assert pooled.worst_low == 52.0
    assert pooled.controls == {"chance": 50.0, "majority": 55.0, "blank": 54.0}
    assert pooled.best_control == 57.5  # of 60 and 55: each seed's own
    assert pooled.lead == -3.0  # the second seed's, not the mean 59 - 57.5


def test_a_missing_interval_or_control_is_missing_in_the_pool() -> None:
    lacking = FIRST | {"low": None}
    pooled = pool("accuracy", [SECOND, lacking], 90)
    assert (pooled.low, pooled.worst_low, pooled.lead) == (None, None, None)
    bare = {**FIRST, "chance": None, "controls": {}}
    assert pool("accuracy", [SECOND, bare], 90).best_control is None


def test_a_variant_is_pooled_over_its_own_runs_and_headlines() -> None:
    pooled = pool_variant(RUNS, WHOLE)
    assert list(pooled) == [("pope", "accuracy"), ("pope", "yes_ratio")]
    assert pooled["pope", "accuracy"].seeds == 2
    assert pool_variant(RUNS, "none")["pope", "accuracy"].value == 60.0
    assert pool_variant(RUNS, "paper") == {}


def test_tables_tell_value_interval_controls_and_lead() -> None:
    tables = write_tables(RUNS)
    assert (
        "| pope accuracy | 90 | 65.0 [59.0, 71.0] | 52.0 | 50.0 | **55.0** | 54.0 | - | - | -3.0 |"
    ) in tables["controls"].splitlines()
    line = "| pope accuracy | 60.0 [52.0, 68.0]; -3.0 | - | - | 70.0 [66.0, 74.0]; +6.0 |"
    assert line in tables["stages"].splitlines()
    assert tables["stages"].startswith("Seeds 1.")  # the only one that both variants have
    assert "seeds 1, 2." in tables["legend"]


def test_a_share_of_yes_has_no_lead() -> None:
    (line,) = [row for row in write_tables(RUNS)["controls"].splitlines() if "yes_ratio" in row]
    assert line.endswith("| - |")
    assert "**" not in line


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    text = "above <!-- a:begin -->\nold\n<!-- a:end --> below"
    filled = fill_markers(text, {"a": "new"}, "page.md")
    assert filled == "above <!-- a:begin -->\nnew\n<!-- a:end --> below"
    assert fill_markers(filled, {"a": "new"}, "page.md") == filled
    with pytest.raises(UserError, match=r"page\.md: the markers <!-- b:begin -->"):
        fill_markers(text, {"b": "new"}, "page.md")


def test_the_page_takes_tables_and_picture(tmp_path: Path) -> None:
    (tmp_path / "miniature.md").write_text(PAGE.read_text())
    write_study(tmp_path, {"runs": RUNS})
    assert "65.0 [59.0, 71.0]" in (tmp_path / "miniature.md").read_text()
    picture = tmp_path / "pictures" / "miniature.png"
    first = picture.read_bytes()
    assert first.startswith(b"\x89PNG")
    write_study(tmp_path, {"runs": RUNS})
    assert picture.read_bytes() == first


def shared_stages(name: str) -> set[tuple[str, bool]]:
    """What a variant computes that another may compute too."""
    skips = "pretrain.steps=0" in VARIANTS[name]
    return {("data", True), ("stage I", skips)}


@pytest.mark.parametrize("chosen", [list(VARIANTS), ["I+II"], ["II", "none"], ["I", "II", "none"]])
def test_no_stage_is_computed_twice_at_the_same_time(chosen: list[str]) -> None:
    batches, made = plan_batches(chosen), set()
    assert sorted(name for batch in batches for name in batch) == sorted(chosen)
    for batch in batches:
        new = [stage for name in batch for stage in shared_stages(name) - made]
        assert len(new) == len(set(new))
        made |= set(new)


def test_recipes_wait_for_one_another_only_where_stage_one_is_not_there_yet() -> None:
    recipes = ["paper", "released", "all"]
    assert plan_study([1, 2], ["I+II", *recipes])[2:] == [(1, recipes), (2, recipes)]
    for chosen in (recipes, ["II", *recipes]):
        assert plan_study([1], chosen)[-2:] == [(1, ["paper"]), (1, ["released", "all"])]


def test_variants_keep_their_order_and_unknown_ones_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = parse_options(["--only", "none,I+II", "--seeds", "7,8"])
    assert (options.only, options.seeds, options.jobs) == (["I+II", "none"], [7, 8], 1)
    with pytest.raises(SystemExit):
        parse_options(["--only", "III"])
    assert "no variant III; there are I+II, I, II" in capsys.readouterr().err


def stand_in(monkeypatch: pytest.MonkeyPatch, act: Callable[[int, str], None]) -> None:
    """Let variants come to their scores at once, and leave the picture out."""

    def run_at_once(_: object, seed: int, variant: str, overrides: list[str]) -> dict[str, Any]:
        assert overrides == ["pretrain.global_batch=8"]
        act(seed, variant)
        return run(seed, variant, FIRST)

    monkeypatch.setattr(miniature, "run_variant", run_at_once)
    monkeypatch.setattr(miniature, "draw_plot", lambda runs, path: None)


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_the_study_holds_every_seed_and_variant_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: str
) -> None:
    begun: list[tuple[int, str]] = []
    stand_in(monkeypatch, lambda seed, variant: begun.append((seed, variant)))
    (tmp_path / "miniature.md").write_text(PAGE.read_text())
    options = ["--seeds", "2,1", "--jobs", jobs, "--set", "pretrain.global_batch=8"]
    assert miniature.main([*options, "--out", str(tmp_path)]) == 0
    runs = read_json(tmp_path / "miniature.json")["runs"]
    wanted = [(seed, variant) for seed in (2, 1) for variant in VARIANTS]
    assert [(one["seed"], one["variant"]) for one in runs] == wanted
    assert sorted(begun) == sorted(wanted)
    stages = len(STAGES)
    assert [begun[0], begun[stages]] == [(2, "I+II"), (1, "I+II")]  # alone, before others
    assert {name for _, name in begun[2 * stages :]} == set(VARIANTS) - set(STAGES.values())


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_stage_that_fails_ends_the_study_in_one_line_and_keeps_what_was_done(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    jobs: str,
) -> None:
    def fail(seed: int, variant: str) -> None:
        if variant == "none":
            raise UserError("the stage failed", where="finetune")

    stand_in(monkeypatch, fail)
    (tmp_path / "miniature.md").write_text(PAGE.read_text())
    options = ["--only", "I+II,I,II,none", "--seeds", "1", "--jobs", jobs, "--out", str(tmp_path)]
    assert miniature.main([*options, "--set", "pretrain.global_batch=8"]) == 2
    assert "miniature: finetune: the stage failed" in capsys.readouterr().err
    runs = read_json(tmp_path / "miniature.json")["runs"]
    assert [one["variant"] for one in runs] == ["I+II", "I", "II"]
