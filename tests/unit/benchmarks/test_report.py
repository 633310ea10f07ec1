"""The report: what it says of scores, which items it shows, and that its bytes are settled."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from benchmark_examples import example
from PIL import Image

from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.report import write_report
from mmicl.benchmarks.report.calibration import calibrate, read_probabilities
from mmicl.benchmarks.report.gallery import find_worst, read_asked, read_values
from mmicl.benchmarks.report.scores import list_scores
from mmicl.benchmarks.runner import Answered, ItemScore, Result
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
