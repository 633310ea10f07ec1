"""Published figures: which are called verified, and what arithmetic ties them together."""

import pytest

from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.benchmark import Published

MME_AVERAGES = {
    "MiniGPT-4": 51.85, "InstructBLIP": 107.47, "BLIP-2": 113.13, "Lynx": 113.50, "GIT2": 113.85,
    "Otter": 114.19, "Cheetor": 115.79, "LRV-Instruction": 116.29, "BLIVA": 119.23,
    "MMICL FLAN-T5-XXL": 129.33,
}  # fmt: skip
"""The column of averages that the paper prints beside the fourteen sub-tasks."""
VERIFIED = {
    "mme": {*MME_AVERAGES},
    "mmbench": {"MMICL FLAN-T5-XXL", "JiuTian"},
    "winoground": {"MMICL FLAN-T5-XXL", "PaLI, fine-tuned"},
    "pope": {"MMICL FLAN-T5-XXL"},
    "flickr30k": {"MMICL Instruct-FLAN-T5-XL", "MMICL Instruct-FLAN-T5-XXL"},
    "vizwiz": {
        "InstructBLIP FLAN-T5-XL", "InstructBLIP FLAN-T5-XXL", "MMICL FLAN-T5-XL",
        "MMICL FLAN-T5-XXL",
    },
}  # fmt: skip
"""Benchmark -> the systems with a verified figure; of all others no figure is."""


def find(name: str, system: str, metric: str, **fields: object) -> list[Published]:
    return [
        one
        for one in BENCHMARKS[name].published
        if (one.system, one.metric) == (system, metric)
        and all(getattr(one, key) == value for key, value in fields.items())
    ]


def test_verified_is_what_something_else_ties_down_and_nothing_more() -> None:
    found: dict[str, set[str]] = {}
    for name, benchmark in BENCHMARKS.items():
        for figure in benchmark.published:
            if figure.verified:
                found.setdefault(name, set()).add(figure.system)
    assert found == VERIFIED


@pytest.mark.parametrize(
    ("name", "system", "value", "shots", "verified"),
    [
        ("flickr30k", "MMICL Instruct-FLAN-T5-XXL", 44.29, 0, True),
        ("flickr30k", "MMICL Instruct-FLAN-T5-XXL", 72.04, 4, False),
        ("flickr30k", "MMICL FLAN-T5-XXL", 78.64, 0, False),
        ("vizwiz", "MMICL FLAN-T5-XL", 50.17, 4, True),
        ("vizwiz", "MMICL Instruct-FLAN-T5-XXL", 50.28, 4, False),
        ("vizwiz", "InstructBLIP FLAN-T5-XL", 32.08, 0, True),
        ("vizwiz", "Kosmos-1", 35.3, 4, False),
    ],
)
def test_flags_go_by_figure_and_shots(
    name: str, system: str, value: float, shots: int, verified: bool
) -> None:
    metric = BENCHMARKS[name].headline[0]
    (figure,) = find(name, system, metric, shots=shots)
    assert (figure.value, figure.verified) == (value, verified)


@pytest.mark.parametrize(("system", "average"), MME_AVERAGES.items())
def test_mme_rows_average_to_what_is_printed(system: str, average: float) -> None:
    scores = [
        one.value
        for one in BENCHMARKS["mme"].published
        if one.system == system and one.metric.startswith("score_")
    ]
    assert len(scores) == 14
    assert sum(scores) / 14 == pytest.approx(average, abs=0.006)
    totals = [
        find("mme", system, total, note="the sum of the sub-tasks")[0].value
        for total in ("perception", "cognition")
    ]
    assert sum(totals) == pytest.approx(sum(scores), abs=0.03)


def test_mmes_earlier_run_is_the_readmes() -> None:
    for metric, paper, readme in (("perception", 1381.73, 1376.0), ("cognition", 428.93, 360.36)):
        found = {one.value: one.source for one in find("mme", "MMICL FLAN-T5-XXL", metric)}
        assert set(found) == {paper, readme}
        assert "arXiv" in found[paper]
        assert "README" in found[readme]
        assert "arXiv" not in found[readme]


def test_the_gap_of_language_bias_is_a_difference() -> None:
    values = {(one.system, one.metric): one.value for one in BENCHMARKS["scienceqa"].published}
    systems = {system for system, metric in values if metric == "gap"}
    assert systems == {"MMICL", "InstructBLIP", "Otter", "Ying-VLM", "Shikra"}
    for system in systems:
        parts = (values[system, f"accuracy_{part}"] for part in ("no_visual_need", "visual_need"))
        without, needed = parts
        assert without - needed == pytest.approx(values[system, "gap"], abs=0.11)


@pytest.mark.parametrize(
    ("name", "metric", "values"),
    [
        ("mme", "perception", (1303.59, 1238.99, 1170.87, 1141.02, 1207.70)),
        ("mme", "cognition", (370.71, 316.79, 341.07, 345.36, 333.21)),
        ("iconqa_img", "accuracy", (58.12, 52.80, 47.15, 51.95, 54.35)),
        ("nlvr2", "accuracy", (72.45, 56.65, 61.00, 62.63, 59.60)),
        ("raven_iq", "accuracy", (32, 8, 18, 28, 16)),
    ],
)
def test_the_ablation_of_the_context_scheme_has_all_its_columns(
    name: str, metric: str, values: tuple[float, ...]
) -> None:
    found = [
        one
        for one in BENCHMARKS[name].published
        if "context scheme" in one.source and one.metric == metric
    ]
    assert tuple(one.value for one in found) == values
    assert not any(one.verified for one in found)


def test_winoground_and_mmbench_have_all_their_columns() -> None:
    values = {(one.system, one.metric): one.value for one in BENCHMARKS["winoground"].published}
    for system, row in {
        "PaLI, fine-tuned": (46.5, 38, 28.75), "VQ2": (47, 42.2, 30.5), "BLIP-2": (44, 26, 23.5),
        "human": (89.5, 88.5, 85.5), "MMICL FLAN-T5-XXL": (45.5, 44.99, 43),
    }.items():  # fmt: skip
        assert tuple(values[system, metric] for metric in ("text", "image", "group")) == row
    for split, row in {
        "test split": (65.2, 44.3, 77.9, 64.8, 66.5, 53.6, 70.6),
        "dev split": (67.9, 49.2, 77.9, 73.0, 66.7, 57.2, 77.2),
    }.items():
        metrics = ("accuracy", *(f"accuracy_{k}" for k in ("LR", "AR", "RR", "FP_S", "FP_C", "CP")))
        figures = [find("mmbench", "MMICL FLAN-T5-XXL", metric, note=split) for metric in metrics]
        assert tuple(one.value for (one,) in figures) == row
    assert {one.value for one in find("mmbench", "JiuTian", "accuracy")} == {64.7, 67.1}
