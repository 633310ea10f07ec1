"""The report: what it says of scores, which items it shows, and that its bytes are settled."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from benchmark_examples import example
from PIL import Image

from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.predictions import Answered
from mmicl.benchmarks.report import write_report
from mmicl.benchmarks.report.calibration import calibrate, read_probabilities
from mmicl.benchmarks.report.gallery import find_worst, read_asked, read_values
from mmicl.benchmarks.report.plots import CONTROL, OURS
from mmicl.benchmarks.report.scores import list_scores
from mmicl.benchmarks.runner import ItemScore, Result
from mmicl.images.store import ImageStore, ImageWriter


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageStore, list[str]]:
    folder = tmp_path_factory.mktemp("pictures")
    names = []
    with ImageWriter(folder / "store") as writer:
        for shade in range(3):
            Image.new("RGB", (200, 100), (shade * 80, 0, 0)).save(folder / "one.png")
            names.append(writer.add_file(folder / "one.png"))
    return ImageStore([folder / "store"]), names


def answer(number: int, yes: float, target: str, picture: str, control: str = "") -> Answered:
    """An answer of yes or no, `yes` its probability of yes."""
    one = example("pope", number)
    scores = (math.log(yes), math.log(1 - yes))
    return Answered(
        id=f"pope/{one.id}", benchmark="pope", item=one.id, group=one.group,
        kind="yes_probability", images=(picture,), prompt=f"image 0 is <image0>图. Thing {number}?",
        candidates=("yes", "no"), target=target, control=control,
        text="yes" if yes > 0.5 else "no", scores=scores,
    )  # fmt: skip


def item(one: Answered) -> ItemScore:
    value = 100.0 * (one.text == one.target)
    return ItemScore(
        benchmark="pope", metric="accuracy", item=one.item, group=one.group, value=value
    )


def score(value: float, chance: float | None = 50.0, **controls: float) -> dict[str, Any]:
    known = {"majority": 40.0, "blank": 30.0, "shuffled": 20.0} | controls
    low, high = value - 5, value + 5
    return {"value": value, "low": low, "high": high, "chance": chance, "controls": known}


@pytest.fixture
def result(pictures: tuple[ImageStore, list[str]]) -> Result:
    chances = [(0.9, "yes"), (0.8, "no"), (0.99, "no"), (0.3, "yes"), (0.1, "no"), (0.6, "no")]
    answers = [
        answer(number, yes, target, pictures[1][number % 3])
        for number, (yes, target) in enumerate(chances)
    ]
    controls = [answer(0, 0.7, "yes", "blank", control="blank")]
    report = {
        "n": 6, "shots": 0,
        "metrics": {"accuracy": score(60.0, blank=53.0), "yes_ratio": score(66.0)},
    }  # fmt: skip
    return Result(report, [*answers, *controls], [item(one) for one in answers])


def test_calibration_is_of_the_models_own_probabilities_of_yes(result: Result) -> None:
    probabilities, truths = read_probabilities(result.answers)
    assert probabilities == pytest.approx([0.9, 0.8, 0.99, 0.3, 0.1, 0.6])
    assert truths == [True, False, False, True, False, False]


def test_calibration_error_is_the_weighted_distance() -> None:
    """0.2 and 0.25 share a bin, of which half is true; 1.0 belongs to the last bin."""
    found = calibrate([0.2, 0.25, 1.0, 0.95], [True, False, True, True])
    assert [(one.count, one.observed) for one in found.bins] == [(2, 0.5), (2, 1.0)]
    assert found.error == pytest.approx(100 * (2 * (0.5 - 0.225) + 2 * (1 - 0.975)) / 4)
    assert calibrate([0.0, 1.0], [False, True]).error == 0


def test_the_worst_mistake_is_the_surest_one(result: Result) -> None:
    worst = find_worst(read_values(result.items), read_asked(result.answers), seed=1)
    assert worst == ["pope/test/2", "pope/test/1", "pope/test/3"]


def test_a_score_leads_from_its_best_control_where_more_is_better(result: Result) -> None:
    accuracy, ratio = list_scores({"pope": result}, {"pope": BENCHMARKS["pope"]})
    assert accuracy.best is not None
    assert (accuracy.best.name, accuracy.lead) == ("blank", 55.0 - 53.0)
    assert ratio.metric == "yes_ratio"
    assert (ratio.best, ratio.lead) == (None, None)


def test_the_page_needs_no_other_file_and_has_the_same_bytes_again(
    result: Result, pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    declared = {"pope": BENCHMARKS["pope"]}
    for name in ("one", "two"):
        write_report(tmp_path / name, {"pope": result}, declared, pictures[0], seed=1)
    text = (tmp_path / "one").read_text()
    assert (tmp_path / "two").read_text() == text
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert "<script" not in text
    assert text.count("<svg") == 2  # a category, the reliability curve; too few for a radar
    assert "60.0 [55.0, 65.0]" in text
    assert '<td class="figure best">53.0</td>' in text
    assert text.count("<article") == 6
    assert "<i>champion</i> is filled in only in the copy" in text
    assert "Thing 2?" in text
    assert "P(yes) 0.99" in text


def test_what_is_not_computed_is_said(
    result: Result, pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    missing = {"not_computed": {"f1 & recall": "needs a file"}}
    own = Result(result.report | missing, result.answers, result.items)
    for name, one in {"whole": result, "less": own}.items():
        write_report(
            tmp_path / name, {"pope": one}, {"pope": BENCHMARKS["pope"]}, pictures[0], seed=1
        )
    line = '<p class="note">pope: f1 &amp; recall not computed: needs a file</p>\n'
    whole, less = ((tmp_path / name).read_text() for name in ("whole", "less"))
    assert less.count(line) == 1
    assert less.replace(line, "") == whole


def test_what_a_prompt_holds_cannot_become_part_of_the_page(
    result: Result, pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    answers = [one.model_copy(update={"prompt": "<b>&", "text": "<i>"}) for one in result.answers]
    forged = Result(result.report, answers, result.items)
    write_report(
        tmp_path / "page", {"pope": forged}, {"pope": BENCHMARKS["pope"]}, pictures[0], seed=1
    )
    text = (tmp_path / "page").read_text()
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert "<i>" not in text.partition('id="items"')[2]


def test_published_figures_say_whether_they_were_verified(
    result: Result, pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    metrics = {"accuracy_random": score(70.0)}
    own = Result({**result.report, "metrics": metrics}, result.answers, result.items)
    write_report(
        tmp_path / "page", {"pope": own}, {"pope": BENCHMARKS["pope"]}, pictures[0], seed=1
    )
    text = (tmp_path / "page").read_text()
    published = text.partition('id="published"')[2].partition('id="items"')[0]
    assert published.count("87.29") == 1
    assert "<td>yes</td>" in published
    assert "82.70" not in published  # of a metric that was not measured


def read_rows(page: str, section: str) -> list[list[str]]:
    """The cells of a section's table rows, without tags."""
    part = page.partition(f'<h2 id="{section}">')[2].partition("<h2")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", part)
    cell = r"<t[hd][^>]*>(.*?)</t[hd]>"
    return [
        [re.sub("<[^>]*>", " ", found).strip() for found in re.findall(cell, row)] for row in rows
    ]


def write_page(folder: Path, pictures: tuple[ImageStore, list[str]], **results: Result) -> str:
    """The report of results by entry; `__` in an entry's name stands for the hyphen."""
    named = {name.replace("__", "-"): one for name, one in results.items()}
    declared = {name: BENCHMARKS[name.partition("-")[0]] for name in named}
    write_report(folder / "page", named, declared, pictures[0], seed=1)
    return (folder / "page").read_text()


def measured(shots: int, n: int = 6, **metrics: dict[str, Any]) -> Result:
    return Result({"n": n, "shots": shots, "metrics": metrics}, [], [])


def test_figures_stand_beside_scores_with_as_many_shots(
    pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    page = write_page(
        tmp_path, pictures,
        vizwiz=measured(0, accuracy=score(20.0)),
        vizwiz__4shot=measured(4, accuracy=score(30.0)),
        vizwiz__2shot=measured(2, accuracy=score(25.0)),
    )  # fmt: skip
    rows = [row for row in read_rows(page, "published") if row[0].startswith("vizwiz")]
    found = {(entry, shots, value) for entry, _, shots, _, value, *_ in rows}
    assert ("vizwiz", "0", "29.34") in found
    assert ("vizwiz-4shot", "4", "33.16") in found
    assert {(entry, shots) for entry, shots, _ in found} == {("vizwiz", "0"), ("vizwiz-4shot", "4")}
    assert ("vizwiz", "0", "50.17") not in found
    assert ("vizwiz-4shot", "4", "29.34") not in found
    (head, *scores) = (row for row in read_rows(page, "scores") if len(row) > 1)
    place = head.index("published")
    assert {row[0]: row[place] for row in scores} == {
        "vizwiz": "29.9?", "vizwiz-4shot": "50.3?", "vizwiz-2shot": "-",
    }  # fmt: skip


def test_one_table_holds_score_interval_controls_champion_and_published(
    pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    page = write_page(
        tmp_path, pictures,
        pope=measured(0, accuracy=score(90.0), accuracy_random=score(80.0, text_only=72.0)),
    )  # fmt: skip
    (head, *rows) = (row for row in read_rows(page, "scores") if len(row) > 1)
    assert head == [
        "benchmark", "metric", "score", "chance", "majority answer", "images blank",
        "images shuffled", "text only", "lead", "champion", "published", "shots", "n",
    ]  # fmt: skip
    pooled, random = rows
    assert pooled[2:] == [
        "90.0 [85.0, 95.0]", "50.0", "40.0", "30.0", "20.0", "-", "+35.0", "-", "-", "0", "6"
    ]  # fmt: skip
    assert random[7:11] == ["72.0", "+3.0", "-", "87.3"]
    assert re.findall('data-champion="([^"]*)">-<', page) == [
        "pope.accuracy",
        "pope.accuracy_random",
    ]


def test_without_the_control_there_is_no_column_for_it(
    result: Result, pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    assert "text only" not in write_page(tmp_path, pictures, pope=result)


def test_draws_of_the_worked_examples_stand_below_the_score(
    pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    draws = {"values": [50.0, 53.0, 56.0], "mean": 53.0, "deviation": 3.0}
    drawn = measured(4, accuracy={**score(50.0), "draws": draws}, accuracy_other=score(10.0))
    page = write_page(tmp_path, pictures, vqav2__4shot=drawn)
    cells = {row[1]: row[2] for row in read_rows(page, "scores") if len(row) > 1}
    assert cells["accuracy"] == "50.0 [45.0, 55.0] 53.0 ± 3.0 over 3 draws"
    assert cells["accuracy_other"] == "10.0 [5.0, 15.0]"


def read_line(picture: str, color: str) -> list[complex]:
    """The corners of the line of one colour in a picture."""
    (path,) = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none; stroke: {color};', picture)
    numbers = list(map(float, re.findall(r"-?[\d.]+", path)))
    return [complex(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]


def test_the_radar_shows_each_benchmarks_first_headline_beside_its_best_control(
    pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    page = write_page(
        tmp_path, pictures,
        coco_caption=measured(0, CIDEr=score(99.0, chance=None)),  # its interval ends at 104
        pope=measured(0, accuracy=score(80.0, chance=20.0), f1=score(11.0)),
        scienceqa=measured(0, accuracy=score(40.0, chance=30.0)),
        textvqa=measured(0, accuracy=score(80.0, chance=40.0)),
        vsr=measured(0, accuracy=score(20.0, chance=60.0)),
    )  # fmt: skip
    radar = page.partition("First headline score of each benchmark")[2].partition("</figure>")[0]
    assert "(without coco_caption: above 100)" in radar
    labels = re.findall(r">(\w+ \w+)</text>", radar)
    shown = [f"{name} accuracy" for name in ("pope", "textvqa", "scienceqa", "vsr")]
    assert sorted(labels) == sorted(shown)
    ours, control = read_line(radar, OURS), read_line(radar, CONTROL)
    assert ours[0] == ours[-1]
    order = {"pope": (80, 40), "textvqa": (80, 40), "scienceqa": (40, 40), "vsr": (20, 60)}
    values = [order[label.split()[0]] for label in labels]
    lengths = [abs(one - other) for one, other in ((ours[0], ours[2]), (ours[1], ours[3]))]
    wanted = [values[0][0] + values[2][0], values[1][0] + values[3][0]]
    assert lengths[0] / lengths[1] == pytest.approx(wanted[0] / wanted[1], rel=1e-3)
    across = abs(control[0] - control[2]) / lengths[0]
    assert across == pytest.approx((values[0][1] + values[2][1]) / wanted[0], rel=1e-3)


def test_two_benchmarks_make_no_radar(
    pictures: tuple[ImageStore, list[str]], tmp_path: Path
) -> None:
    two = {name: measured(0, accuracy=score(50.0)) for name in ("textvqa", "vsr")}
    assert "First headline score" not in write_page(tmp_path, pictures, **two)
