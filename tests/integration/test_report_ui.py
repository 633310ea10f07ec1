"""reports/evaluation.html as a person sees it on a laptop, in headless Chromium."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import open_chromium
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.predictions import Answered
from mmicl.benchmarks.report import write_report
from mmicl.benchmarks.runner import ItemScore, Result
from mmicl.images.store import ImageStore, ImageWriter
from mmicl.tracking.champion import Entrant
from mmicl.tracking.evaluation import add_champion

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]

WIDTH, HEIGHT = 1366, 768
PICTURES = 8
"""Of the prompt with the most of them."""


def measure(name: str, pictures: list[str]) -> Result:
    """A benchmark with every metric it has, every control, draws, and items to look at."""
    benchmark, metrics = BENCHMARKS[name.partition("-")[0]], {}
    for place, metric in enumerate(benchmark.metrics):
        value = 1234.5 if metric in ("perception", "cognition") else 60.0 + place
        metrics[metric] = {
            "value": value, "low": value - 12.3, "high": value + 12.3, "chance": 50.0,
            "controls": {"majority": 51.0, "blank": 52.0, "shuffled": 53.0, "text_only": 54.0},
            "draws": {"values": [value] * 3, "mean": value, "deviation": 10.25},
        }  # fmt: skip
    answers = [ask(name, benchmark.kind == "yes_probability", n, pictures) for n in range(4)]
    items = [
        ItemScore(benchmark=name, metric="accuracy", item=one.item, group=one.group,
                  value=100.0 * (one.text == one.target))
        for one in answers
    ]  # fmt: skip
    report = {"version": benchmark.version, "n": 12345, "shots": 0, "metrics": metrics}
    return Result(report, answers, items)


def ask(name: str, yes_no: bool, number: int, pictures: list[str]) -> Answered:
    """An answer about 1 to `PICTURES` pictures; a written one is a word too long for any line."""
    shown = pictures[: 1 + number * (PICTURES - 1) // 3]
    own: dict[str, Any] = {"kind": "generate", "text": "word" * 60, "target": "thing"}
    if yes_no:
        own = {
            "kind": "yes_probability", "candidates": ("yes", "no"), "text": "yes",
            "target": ("yes", "no")[number % 2],
            "scores": (math.log(0.6 + number / 10), math.log(0.4 - number / 10)),
        }  # fmt: skip
    declared = " ".join(f"image {n} is <image{n}>图." for n in range(len(shown)))
    return Answered(
        id=f"{name}/{number}", benchmark=name, item=f"{name}/test/{number}", group=str(number),
        images=tuple(shown), prompt=f"{declared} What is it? {'https://' + 'a' * 200}", control="",
        **own,
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of every benchmark there is and a variant, as MLflow keeps it."""
    folder, pictures = tmp_path_factory.mktemp("report"), []
    with ImageWriter(folder / "store") as writer:
        for shade in range(PICTURES):
            Image.new("RGB", (640, 480 - 40 * shade), (shade * 30, 0, 0)).save(folder / "one.png")
            pictures.append(writer.add_file(folder / "one.png"))
    names = [*BENCHMARKS, "vizwiz-4shot"]
    results = {name: measure(name, pictures) for name in names}
    declared = {name: BENCHMARKS[name.partition("-")[0]] for name in names}
    path = folder / "evaluation.html"
    write_report(path, results, declared, ImageStore([folder / "store"]), seed=1)
    scores = {name: one.report for name, one in results.items()}
    champion = Entrant("version 12", None, scores, None)
    text = add_champion(path.read_text(), scores, "version 13 is no champion: it loses", champion)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def browser(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium with the page open."""
    with open_chromium(tmp_path_factory.mktemp("chromium"), f"{WIDTH},{HEIGHT}") as browser:
        browser.get(page.as_uri())
        yield browser


def test_nothing_lies_beyond_the_right_edge(browser: Chrome) -> None:
    wide = browser.execute_script(
        "const wide = document.documentElement.clientWidth;"
        "return [...document.querySelectorAll('body *')]"
        ".filter(one => !one.closest('svg') && one.getBoundingClientRect().right > wide + 1)"
        ".map(one => one.outerHTML.slice(0, 200));"
    )
    assert wide == []
    root = "document.documentElement"
    inner, outer = (
        browser.execute_script(f"return {root}.{name}") for name in ("scrollWidth", "clientWidth")
    )
    assert inner <= outer <= WIDTH


def test_no_item_is_cut_off(browser: Chrome) -> None:
    """An article hides what does not fit into it."""
    cut = browser.execute_script(
        "return [...document.querySelectorAll('article')]"
        ".filter(one => one.scrollWidth > one.clientWidth).map(one => one.outerHTML.slice(0, 200));"
    )
    assert cut == []


def test_every_picture_arrives_and_every_plot_is_drawn(browser: Chrome) -> None:
    pictures = browser.find_elements(By.TAG_NAME, "img")
    assert len(pictures) > 4 * len(BENCHMARKS)
    widths = browser.execute_script(
        "return [...document.images].map(one => one.complete ? one.naturalWidth : 0)"
    )
    assert all(widths)
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('figure > svg')]"
        ".map(one => one.getBoundingClientRect()).map(box => Math.min(box.width, box.height))"
    )
    assert len(sizes) >= 3
    assert all(size > 50 for size in sizes)
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_score_is_read_in_one_line_with_all_that_it_is_held_against(browser: Chrome) -> None:
    table = browser.find_element(By.CSS_SELECTOR, "table.scores")
    heads = [head.text for head in table.find_elements(By.CSS_SELECTOR, "tr:first-child th")]
    row = next(
        row
        for row in table.find_elements(By.CSS_SELECTOR, "tr.headline")
        if row.text.startswith("vizwiz accuracy")
    )
    cells = [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
    found = dict(zip(heads, cells, strict=True))
    assert found["champion"] == "60.0 (+0.0)"
    assert found["published"] == "29.9?"
    assert (found["chance"], found["text only"]) == ("50.0", "54.0")
