"""MLflow's own UI over what was tracked, in headless Chromium."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from chromium import open_chromium
from fabricated import fabricate, lock, set_params, write_outs
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from flows.services import free_port
from mmicl.paths import Paths
from mmicl.tracking import SERVER_ENVIRONMENT, server_command, start_pipeline, sync

pytestmark = [pytest.mark.alone, pytest.mark.timeout(400)]

PATIENCE = 90
"""Seconds for a page, on a machine with two busy cores."""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, list[str]]:
    """Two synced pipeline runs that differ in two params and in their scores."""
    paths = fabricate(tmp_path_factory.mktemp("ui") / "checkout")
    run_ids = []
    for flow_run, changes, right in (
        ("0a5b7c00-first", {"finetune__steps": 150}, 29),
        ("7f31ee02-second", {"finetune__steps": 300, "finetune__learning_rate": 5e-4}, 36),
    ):
        config = set_params(paths, **changes)
        write_outs(paths, right)
        lock(paths)
        run_ids.append(start_pipeline(paths, flow_run, config.profile))
        sync(paths, config, run_ids[-1])
    return paths, run_ids


@pytest.fixture(scope="module")
def address(compared: tuple[Paths, list[str]]) -> Iterator[str]:
    """The MLflow UI over them."""
    port = free_port()
    paths = compared[0]
    with (paths.state / "mlflow.log").open("w") as log:
        server = subprocess.Popen(
            server_command(paths, port),
            cwd=paths.root,
            env={**os.environ, **SERVER_ENVIRONMENT},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)
    assert not (paths.root / "mlruns").exists()
    assert not (paths.root / "mlartifacts").exists()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium for all tests of this file."""
    with open_chromium(tmp_path_factory.mktemp("chromium"), "900,1000") as browser:
        yield browser


def test_compare_view_shows_differing_params_and_scores_side_by_side(
    compared: tuple[Paths, list[str]], address: str, browser: Chrome
) -> None:
    browser.get(f"{address}/#/experiments/1/runs")
    label = "[aria-label^='Press Space to toggle row selection']"
    WebDriverWait(browser, PATIENCE).until(lambda _: len(_all(browser, label)) == 2)
    for box in _all(browser, label):  # stage runs are folded into their pipeline run
        box.click()
    _click_text(browser, "Compare")
    switches = [
        _find(browser, f"[aria-label='{name} - Show diff only']")
        for name in ("Parameters", "Metrics")
    ]
    for switch in switches:
        browser.execute_script("arguments[0].click()", switch)
    for name in ("Visualizations", "Run details"):
        _click_text(browser, name)
    for panel in ("assistant.chat_panel.close", "_header.toggle_sidebar_button"):
        for button in _all(browser, f"[data-component-id^='mlflow'][data-component-id$='{panel}']"):
            button.click()
    body = _find(browser, "body")
    WebDriverWait(browser, PATIENCE).until(
        lambda _: "finetune.steps" in body.text and "augment.model" not in body.text
    )
    text = " ".join(body.text.split())
    new_first = "finetune.learning_rate 0.0005 0.001 finetune.steps 300 150"
    old_first = "finetune.learning_rate 0.001 0.0005 finetune.steps 150 300"
    assert new_first in text or old_first in text
    # Names in the first column; then value, upper and lower bound of POPE and of VQA v2.
    values = "90 72.5 100 82.5 80 62.5" if new_first in text else "72.5 90 82.5 100 62.5 80"
    assert f"vqav2.accuracy vqav2.accuracy_high vqav2.accuracy_low {values} {values}" in text
    assert "pretrain." not in text  # equal in both


def test_pipeline_run_shows_samples_and_links(
    compared: tuple[Paths, list[str]], address: str, browser: Chrome
) -> None:
    browser.get(f"{address}/#/experiments/1/runs/{compared[1][1]}/artifacts/samples.html")
    frame = _find(browser, "iframe")
    browser.switch_to.frame(frame)
    try:
        WebDriverWait(browser, PATIENCE).until(lambda _: len(_all(browser, "article img")) == 12)
        widths = [
            browser.execute_script("return arguments[0].naturalWidth", image)
            for image in _all(browser, "article img")
        ]
    finally:
        browser.switch_to.default_content()
    assert all(widths), "a thumbnail is broken"
    browser.get(f"{address}/#/experiments/1/runs/{compared[1][1]}")
    link = _find(browser, "table a[href*='/runs/']")
    assert len(link.text) == 8


def _all(browser: Chrome, selector: str) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, selector)


def _find(browser: Chrome, selector: str) -> WebElement:
    """The first such element, as soon as it is there."""
    WebDriverWait(browser, PATIENCE).until(lambda _: _all(browser, selector))
    return _all(browser, selector)[0]


def _click_text(browser: Chrome, text: str) -> None:
    """Click the button with this text, as soon as it is there."""

    def find(_: Chrome) -> WebElement | None:
        found = _all(browser, "button, [role=button]")
        return next((item for item in found if item.text.strip() == text), None)

    button = WebDriverWait(browser, PATIENCE).until(find)
    browser.execute_script("arguments[0].click()", button)


def _wait_for(url: str) -> None:
    """Until something answers there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(url, timeout=5)  # noqa: S310
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
