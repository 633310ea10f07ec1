"""`mmicl browse` as a person uses it, in headless Chromium, over the command itself."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import open_chromium
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from tests.unit.browse.browse_data import fill

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The command over a checkout with built samples; it ends at Ctrl-C."""
    root = fill(tmp_path_factory.mktemp("browse")).root
    (root / "components" / "mmicl").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, root / name)
    command = [
        str(Path(sys.executable).parent / "mmicl"),
        "browse",
        "--port",
        "0",
        "--filter",
        "page=2",
    ]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        line = server.stdout.readline()
        found = re.match(r"(http://127\.0\.0\.1:\d+/)\?page=2 ", line)
        assert found, line
        yield found[1]
        server.send_signal(2)
        assert server.wait(30) == 0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium for all tests of this file."""
    with open_chromium(tmp_path_factory.mktemp("chromium"), "1000,1000") as browser:
        yield browser


def widths(browser: Chrome, selector: str) -> list[int]:
    """The pixels that arrived of each picture; 0 where it is broken."""
    return [
        browser.execute_script("return arguments[0].naturalWidth", image)
        for image in browser.find_elements(By.CSS_SELECTOR, selector)
    ]


def test_filter_look_and_follow_an_exemplar(address: str, browser: Chrome) -> None:
    browser.get(address)
    assert browser.find_element(By.ID, "count").text == "100 samples, page 1 of 5"
    Select(browser.find_element(By.NAME, "dataset")).select_by_value("vqav2")
    Select(browser.find_element(By.NAME, "images")).select_by_value("2")
    browser.find_element(By.CSS_SELECTOR, "form button").click()
    assert "dataset=vqav2" in browser.current_url
    articles = browser.find_elements(By.TAG_NAME, "article")
    assert articles
    chips = widths(browser, "article .prompt .chip img")
    assert len(chips) == 2 * len(articles)
    assert set(chips) == {40, 20}, "a picture or its crop is broken"
    browser.find_element(By.CSS_SELECTOR, ".prompt .chip a").click()
    assert widths(browser, "img") == [40]
    browser.get(f"{address}?part=finetune&images=4")
    link = browser.find_element(By.XPATH, "//dt[text()='exemplars']/following-sibling::dd/a")
    name = link.text
    link.click()
    assert name in browser.find_element(By.TAG_NAME, "body").text
    assert browser.find_elements(By.TAG_NAME, "article")


def test_hostile_text_does_nothing_and_the_policy_is_kept(address: str, browser: Chrome) -> None:
    browser.get_log("browser")
    browser.get(f"{address}?text=alert(")
    assert "<script>alert('x')</script>" in browser.find_element(By.CSS_SELECTOR, ".prompt").text
    weight = browser.find_element(By.CSS_SELECTOR, ".target").value_of_css_property("font-weight")
    assert weight == "700", "the style is not applied"
    complaints = [entry["message"] for entry in browser.get_log("browser")]
    assert not [line for line in complaints if "favicon" not in line], complaints
