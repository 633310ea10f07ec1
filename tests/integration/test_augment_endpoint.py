"""Paraphrases over HTTP: a real client, a real server, and everything that goes wrong between."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import Behaviour, serve_chat

from mmicl.augment.asking import ask_all
from mmicl.augment.bank import shipped_bank
from mmicl.augment.paraphrases import Collected, collect
from mmicl.augment.prompts import make_requests
from mmicl.augment.replies import ReplyCache
from mmicl.augment.review import accept_waiting
from mmicl.config import Augment, load_config
from mmicl.errors import TransientError, UserError
from mmicl.mic.templates import load_bank
from mmicl.paths import Paths
from mmicl.records import Template
from mmicl.stages import StageContext
from mmicl.stages.augment import run

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-test-0123456789"
TINY = load_config(ROOT / "profiles" / "tiny.yaml")
TEMPLATES = shipped_bank()["vqa"][:4]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Behaviour]]:
    """A well-behaved server and a key in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve_chat() as (address, behaviour):
        yield address, behaviour


def make_config(address: str, **changes: Any) -> Augment:
    values = {"base_url": address, "paraphrases": 2, "timeout": 20.0, "retries": 2, **changes}
    return TINY.augment.model_copy(update=values)


def make_context(root: Path, address: str, **changes: Any) -> StageContext:
    config = TINY.model_copy(update={"augment": make_config(address, **changes)})
    return StageContext("augment", None, config, Paths(root, root / ".mmicl"), "0")


def paraphrase(
    config: Augment, cache: Path, templates: list[Template] = TEMPLATES, key: str | None = KEY
) -> Collected:
    requests = make_requests(templates, config)
    replies = ask_all(requests, config, ReplyCache(cache), key)
    return collect(requests, replies, templates, config)


# --- the stage -----------------------------------------------------------------------------------


def test_the_stage_asks_once_and_a_rerun_asks_nothing(
    server: tuple[str, Behaviour], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, behaviour = server
    caplog.set_level("INFO", "mmicl")
    context = make_context(tmp_path, address)
    run(context)
    assert len(behaviour.requests) == 180
    assert 1 < behaviour.most_at_once <= 4
    first = behaviour.requests[0]
    assert first["path"] == "/v1/chat/completions"
    assert first["authorization"] == f"Bearer {KEY}"
    assert first["body"]["temperature"] == 1.0
    assert first["body"]["response_format"]["json_schema"]["strict"] is True

    assert load_bank(context.paths.bank) == shipped_bank()  # nobody has read the others
    report = json.loads(context.paths.paraphrases.read_text())
    assert (report["answered"], len(report["waiting"]), report["dropped"]) == (180, 360, {})
    dollars = 180 * (300 * 0.15 + 40 * 0.6) / 1e6
    assert report["bill"] == {
        "dollars": pytest.approx(dollars), "input_tokens": 54000, "output_tokens": 7200,
        "unreported": 0,
    }  # fmt: skip
    assert context.facts["bill"]["dollars"] == pytest.approx(dollars)
    assert context.facts["asked_now"] == 180
    assert "360 not reviewed and left out (see mmicl bank)" in caplog.text
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY not in path.read_text()

    before = context.paths.paraphrases.read_bytes()
    again = make_context(tmp_path, address)
    run(again)
    assert len(behaviour.requests) == 180
    assert again.facts["asked_now"] == 0
    assert context.paths.paraphrases.read_bytes() == before


def test_reviewed_paraphrases_enter_the_bank_and_others_only_where_that_is_allowed(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    address, behaviour = server
    context = make_context(tmp_path, address)
    run(context)
    assert accept_waiting(context.paths, ["vqa-03-*"])[0] == 2
    run(context)
    added = [one for one in load_bank(context.paths.bank)["vqa"] if len(one.id) > len("vqa-03")]
    assert {one.id[:6] for one in added} == {"vqa-03"}
    assert all(one.reviewed for one in added)
    assert context.facts["accepted"] == 2

    run(make_context(tmp_path, address, require_review=False))
    bank = [one for some in load_bank(context.paths.bank).values() for one in some]
    assert len(bank) == 540
    assert sum(one.reviewed for one in bank) == 182
    (new, *_) = [one for one in bank if not one.reviewed]
    assert new.origin.startswith("gpt-4o-mini-2024-07-18, prompt 1, temperature 1, paraphrase of ")
    assert new.licence == "OpenAI Terms of Use"
    assert len(behaviour.requests) == 180


def test_without_a_key_nothing_is_asked_and_the_run_says_so(
    server: tuple[str, Behaviour],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address, behaviour = server
    caplog.set_level("INFO", "mmicl")
    monkeypatch.delenv("OPENAI_API_KEY")
    context = make_context(tmp_path, address, require_review=False)
    run(context)
    assert behaviour.requests == []
    assert load_bank(context.paths.bank) == shipped_bank()
    assert "OPENAI_API_KEY is not set: the bank at hand is used, 180 of 180" in caplog.text


def test_what_the_cache_has_needs_no_key(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    address, behaviour = server
    config = make_config(address)
    first = paraphrase(config, tmp_path)
    assert paraphrase(config, tmp_path, key=None) == first
    assert len(behaviour.requests) == len(TEMPLATES)
    paraphrase(make_config(address, temperature=0.5), tmp_path)  # another question
    assert len(behaviour.requests) == 2 * len(TEMPLATES)


def test_the_result_is_one_for_any_order_of_answers(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    address, behaviour = server
    behaviour.texts = lambda instruction, count: ["{images} Tell me. {question}"] * count
    one = paraphrase(make_config(address, concurrency=1), tmp_path / "one")
    behaviour.delays = [0.2, 0.1, 0.05, 0.0]
    four = paraphrase(make_config(address, concurrency=4), tmp_path / "four")
    assert behaviour.most_at_once == 4
    assert one == four
    assert [template.id[:6] for template in one.waiting] == ["vqa-00"]


@pytest.mark.slow
def test_a_killed_job_asks_only_for_the_rest(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    address, behaviour = server
    behaviour.delay = 0.05
    code = (
        "import sys; from pathlib import Path; from test_augment_endpoint import *\n"
        "paraphrase(make_config(sys.argv[1], concurrency=1), Path(sys.argv[2]), ALL)"
    )
    command = [sys.executable, "-c", code, address, str(tmp_path)]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    deadline = time.monotonic() + 120
    while len(behaviour.requests) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(behaviour.requests)
    assert 6 <= before < len(ALL)
    kept = len(list(tmp_path.rglob("*.json")))
    assert before - 1 <= kept <= before
    behaviour.delay = 0.0
    found = paraphrase(make_config(address, concurrency=1), tmp_path, ALL)
    assert found.answered == len(ALL)
    assert len(behaviour.requests) == before + len(ALL) - kept


ALL = [template for some in shipped_bank().values() for template in some][:40]

# --- errors --------------------------------------------------------------------------------------


def test_retry_after_is_waited_for(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    address, behaviour = server
    behaviour.failures = [(429, {"Retry-After": "1.5"}, "{}")]
    found = paraphrase(make_config(address), tmp_path, TEMPLATES[:1])
    assert found.answered == 1
    first, second = (request["time"] for request in behaviour.requests)
    assert second - first >= 1.5


def test_a_server_that_wants_to_be_left_alone_for_long_is(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    address, behaviour = server
    behaviour.failures = [(429, {"Retry-After": "600"}, "{}")]
    with pytest.raises(TransientError, match=r"429.*run again"):
        paraphrase(make_config(address), tmp_path, TEMPLATES[:1])
    assert len(behaviour.requests) == 1


def test_server_errors_pass_within_the_retries_and_fail_beyond(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    address, behaviour = server
    behaviour.failures = [(500, {}, "{}"), (503, {}, "busy")]
    assert paraphrase(make_config(address), tmp_path, TEMPLATES[:1]).answered == 1
    behaviour.failures = [(502, {}, "{}")] * 2
    with pytest.raises(TransientError, match=r"no answer in up to 2 tries \(.*502"):
        paraphrase(make_config(address, retries=1), tmp_path, TEMPLATES[1:2])
    assert len(behaviour.requests) == 5


def test_a_slow_answer_is_asked_for_again(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    address, behaviour = server
    behaviour.delays = [3.0]
    assert paraphrase(make_config(address, timeout=1.0), tmp_path, TEMPLATES[:1]).answered == 1
    assert len(behaviour.requests) == 2
    behaviour.delays = [1.5]
    with pytest.raises(TransientError, match="timed out"):
        paraphrase(make_config(address, timeout=0.5, retries=0), tmp_path, TEMPLATES[1:2])


def test_after_a_failure_what_came_is_kept(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    address, behaviour = server
    config = make_config(address, concurrency=1, retries=0)
    paraphrase(config, tmp_path, TEMPLATES[:2])
    behaviour.failures = [(500, {}, "{}")]
    with pytest.raises(TransientError):
        paraphrase(config, tmp_path)
    assert len(behaviour.requests) == 3  # after the failure the fourth was not begun
    assert paraphrase(config, tmp_path).answered == 4
    assert len(behaviour.requests) == 5


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        ((401, {}, '{"error": {"message": "bad key KEY"}}'), UserError, "check OPENAI_API_KEY"),
        ((403, {}, "{}"), UserError, r"refuses the key \(HTTP 403\)"),
        ((404, {}, '{"error": {"message": "no model"}}'), UserError, "no model.*augment.model"),
        ((400, {}, '{"error": {"message": "KEY may not"}}'), UserError, "refuses the request"),
        ((200, {"Content-Type": "text/html"}, "<p>Hi</p>"), UserError, "no chat completion"),
        ((200, {}, '{"object": "list", "data": []}'), UserError, "no chat completion"),
        ((200, {}, '{"choices": ['), TransientError, "not whole JSON"),
        ((200, {}, "[]"), UserError, "no chat completion"),
    ],
)
def test_an_answer_of_another_kind_is_one_clear_line(
    server: tuple[str, Behaviour],
    tmp_path: Path,
    failure: tuple[int, dict[str, str], str],
    kind: type[Exception],
    message: str,
) -> None:
    address, behaviour = server
    status, headers, body = failure
    behaviour.failures = [(status, headers, body.replace("KEY", KEY))]
    with pytest.raises(kind, match=message) as caught:
        paraphrase(make_config(address), tmp_path, TEMPLATES[:1])
    assert address in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(behaviour.requests) == 1


def test_nobody_there_is_transient(tmp_path: Path) -> None:
    config = make_config("http://127.0.0.1:9/v1", retries=0)
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9"):
        paraphrase(config, tmp_path, TEMPLATES[:1])


# --- answers that are no good ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "finish", "reason"),
    [
        ("Sure! Here are some", "stop", "answer: not of the schema"),
        ('{"paraphrases": ["{images} {question}', "length", "answer: cut off"),
        ('{"paraphrases": [1, 2]}', "stop", "answer: not of the schema"),
        ('{"paraphrases": [], "note": "x"}', "stop", "answer: not of the schema"),
    ],
)
def test_an_answer_that_is_not_of_the_schema_is_dropped_paid_and_not_asked_again(
    server: tuple[str, Behaviour], tmp_path: Path, content: str, finish: str, reason: str
) -> None:
    address, behaviour = server
    behaviour.content, behaviour.finish = content, finish
    for _ in range(2):
        found = paraphrase(make_config(address), tmp_path, TEMPLATES[:1])
        assert [drop.reason for drop in found.drops] == [reason]
        assert found.bill.dollars > 0
    assert len(behaviour.requests) == 1


def test_unsound_texts_are_dropped_each_with_its_reason(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    address, behaviour = server
    texts = {
        "{images} Tell me about it. {question}": None,
        "{images} Tell me what it is.": "slot missing",
        "{images} {question} {question} Say it.": "slot repeated",
        "{images} {question} {answer} Say it.": "invented slot",
        "<image0> {images} {question} Say it.": "placeholder or proxy",
        "{images} Image 0 is a hint. {question}": "character not allowed",
        "{images} See evil.example.com now: {question}": "address",
        "{images} Say\nit. {question}": "character not allowed",
        "{images} tell me about it! {question}": "near-duplicate",
    }
    behaviour.texts = lambda instruction, count: list(texts)
    found = paraphrase(make_config(address, paraphrases=9), tmp_path, TEMPLATES[:1])
    assert {drop.text: drop.reason for drop in found.drops} == {
        text: reason for text, reason in texts.items() if reason
    }
    assert [template.text for template in found.waiting] == [
        "{images} Tell me about it. {question}"
    ]


# --- the budget ----------------------------------------------------------------------------------


def test_over_the_budget_nothing_is_asked(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    address, behaviour = server
    with pytest.raises(UserError, match=r"budget of \$0.0001; nothing was asked"):
        paraphrase(make_config(address, budget=0.0001), tmp_path)
    assert behaviour.requests == []


def test_the_budget_holds_although_answers_cost_more_than_expected(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    address, behaviour = server
    behaviour.usage = {"prompt_tokens": 1500, "completion_tokens": 200}
    cost = (1500 * 0.15 + 200 * 0.6) / 1e6
    config = make_config(address, budget=0.0012, concurrency=3)
    with pytest.raises(UserError, match=r"are spent .* more than the budget of \$0.0012"):
        paraphrase(config, tmp_path)
    asked = len(behaviour.requests)
    assert 1 <= asked < len(TEMPLATES)
    assert asked * cost <= config.budget
    # The budget is for all answers together: a second start may not spend it again.
    with pytest.raises(UserError, match="budget"):
        paraphrase(config, tmp_path)
    assert len(behaviour.requests) == asked
    assert paraphrase(make_config(address), tmp_path).answered == len(TEMPLATES)
    assert len(behaviour.requests) == len(TEMPLATES)


def test_a_server_that_reports_no_tokens_is_billed_at_the_bound(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    address, behaviour = server
    behaviour.usage = None
    found = paraphrase(make_config(address), tmp_path, TEMPLATES[:1])
    assert found.bill.unreported == 1
    assert found.bill.output_tokens == 200
    assert found.bill.input_tokens > 1400
