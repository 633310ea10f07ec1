"""Requests, costs, the cache, and what becomes of answers, without any server."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from mmicl.augment.asking import Purse
from mmicl.augment.bank import accepted_templates, shipped_bank
from mmicl.augment.bill import bound_tokens, describe_plan, expected_tokens, forecast, make_bill
from mmicl.augment.paraphrases import collect, write_report
from mmicl.augment.prompts import make_requests
from mmicl.augment.replies import Reply, ReplyCache
from mmicl.augment.review import accept_waiting, read_waiting
from mmicl.config import Augment, Prices, check_config, load_config, read_params
from mmicl.errors import ConfigError, DataError, UserError
from mmicl.paths import Paths
from mmicl.records import Template

ROOT = Path(__file__).resolve().parents[3]
VQA = shipped_bank()["vqa"]
TINY = load_config(ROOT / "profiles" / "tiny.yaml").augment


def make_config(**changes: Any) -> Augment:
    values = {"base_url": "https://api.example.org/v1", "paraphrases": 3, **changes}
    return TINY.model_copy(update=values)


def make_reply(
    *texts: str, model: str = "m-2024", tokens: tuple[int, int] | None = (100, 10)
) -> Reply:
    given = (None, None) if tokens is None else tokens
    return Reply(
        model=model,
        text=json.dumps({"paraphrases": texts}),
        finish="stop",
        input_tokens=given[0],
        output_tokens=given[1],
    )


# --- requests and cost ---------------------------------------------------------------------------


def test_every_template_is_another_request_and_whatever_changes_it_changes_the_key() -> None:
    hand = [template for some in shipped_bank().values() for template in some]
    keys = [request.key for request in make_requests(hand, make_config())]
    assert len(set(keys)) == len(hand)
    assert keys == [request.key for request in make_requests(hand, make_config())]
    for change in (
        {"model": "x"},
        {"temperature": 0.1},
        {"paraphrases": 4},
        {"base_url": "http://x"},
    ):
        assert not set(keys) & {one.key for one in make_requests(hand, make_config(**change))}
    for change in ({"concurrency": 9}, {"retries": 9}, {"timeout": 9.0}, {"budget": 9.0}):
        assert keys == [one.key for one in make_requests(hand, make_config(**change))]


def test_a_request_names_the_slots_as_they_are_spelled() -> None:
    (request,) = make_requests([VQA[3]], make_config())
    assert json.loads(request.body["messages"][1]["content"]) == {
        "task": "vqa",
        "instruction": "Look at {images:inline} and answer. {question}",
        "slots": ["{images:inline}", "{question}"],
        "paraphrases": 3,
    }


def test_the_forecast_leaves_out_what_was_answered_and_lies_below_the_bound(tmp_path: Path) -> None:
    config = make_config(prices=Prices(input=1.0, output=2.0))
    requests, cache = make_requests(VQA, config), ReplyCache(tmp_path)
    before = forecast(requests, config, cache)
    assert (before.requests, before.answered, before.spent) == (10, 0, 0.0)
    tokens = [expected_tokens(request, 3) for request in requests]
    assert before.expected == pytest.approx(sum(one[0] + 2 * one[1] for one in tokens) / 1e6)
    assert 0 < before.expected < before.bound
    cache.keep(requests[0], make_reply("a"))
    after = forecast(requests, config, cache)
    assert (after.answered, after.spent) == (1, 120e-6)
    assert after.expected < before.expected


def test_the_plan_says_requests_money_and_budget(tmp_path: Path) -> None:
    assert describe_plan(make_config(base_url=None), tmp_path) is None
    line = describe_plan(make_config(), tmp_path)
    assert line is not None
    assert line.startswith("gpt-4o-mini: 180 requests, 0 of them answered already ($0.0000)")
    assert line.endswith("of a budget of $1")


def test_tokens_that_nobody_reports_are_billed_at_their_bound() -> None:
    config = make_config(prices=Prices(input=1.0, output=2.0))
    (request,) = make_requests(VQA[:1], config)
    bill = make_bill([(request, make_reply(tokens=None)), (request, make_reply())], config.prices)
    most = bound_tokens(request)
    assert bill.unreported == 1
    assert (bill.input_tokens, bill.output_tokens) == (most[0] + 100, most[1] + 10)
    assert bill.dollars == pytest.approx((bill.input_tokens + 2 * bill.output_tokens) / 1e6)


def test_a_purse_waits_for_running_requests_and_refuses_when_none_can_free_more() -> None:
    purse = Purse(budget=1.0, spent=0.3)
    purse.reserve(0.5)
    waiter = threading.Thread(target=purse.reserve, args=(0.5,))
    waiter.start()
    waiter.join(0.05)
    assert waiter.is_alive()  # 0.3 + 0.5 + 0.5 would be too much, if the first costs what it may
    purse.settle(0.5, 0.1)
    waiter.join(5)
    assert not waiter.is_alive()
    purse.settle(0.5, 0.5)
    with pytest.raises(UserError, match=r"augment\.budget: \$0\.9000 are spent"):
        purse.reserve(0.2)


# --- the cache -----------------------------------------------------------------------------------


def test_a_kept_answer_is_found_and_a_damaged_one_named(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    one, other = make_requests(VQA[:2], make_config())
    cache.keep(one, make_reply("a"))
    assert cache.find(one) == make_reply("a")
    assert cache.find(other) is None
    (path,) = tmp_path.rglob("*.json")
    assert one.key in path.name
    for text in ("{}", "[]", '{"reply": {"model": "m"}}'):
        path.write_text(text)
        with pytest.raises(
            DataError, match=rf"{one.key}\.json: not a kept answer; delete the file"
        ):
            cache.find(one)


# --- answers and their review --------------------------------------------------------------------


def collect_two(config: Augment, bank: list[Template], model: str = "m-2024") -> Any:
    requests = make_requests(VQA[:2], config)
    replies = {
        requests[0].key: make_reply("{images} Now tell. {question}", "{images}", model=model),
        requests[1].key: make_reply("{images} now, tell: {question}", model=model),
    }
    return collect(requests, replies, bank, config)


def test_a_paraphrase_tells_where_it_comes_from() -> None:
    found = collect_two(make_config(temperature=0.7), VQA)
    (template,) = found.waiting
    assert template.id.startswith("vqa-00-")
    assert template.origin == "m-2024, prompt 1, temperature 0.7, paraphrase of vqa-00"
    assert (template.licence, template.reviewed) == ("OpenAI Terms of Use", False)
    assert [drop.reason for drop in found.drops] == ["slot missing", "near-duplicate"]
    assert found.facts()["bill"]["input_tokens"] == 200


def test_a_model_name_that_is_none_is_not_repeated() -> None:
    (template,) = collect_two(make_config(), VQA, model="m\n<script>").waiting
    assert template.origin.startswith("gpt-4o-mini, prompt 1")


def test_waiting_paraphrases_are_accepted_by_id_and_wait_no_more(tmp_path: Path) -> None:
    paths, config = Paths(tmp_path, tmp_path / ".mmicl"), make_config()
    with pytest.raises(
        DataError, match=r"paraphrases\.json: no such file; run mmicl stage augment"
    ):
        read_waiting(paths)
    found = collect_two(config, VQA)
    write_report(paths.paraphrases, found, config)
    report = json.loads(paths.paraphrases.read_text())
    assert report["dropped"] == {"near-duplicate": 1, "slot missing": 1}
    assert report["drops"][0] == {
        "template": "vqa-00",
        "reason": "slot missing",
        "text": "{images}",
    }
    with pytest.raises(UserError, match=r"vqa-09-\*: no paraphrase of that id waits"):
        accept_waiting(paths, ["vqa-00-*", "vqa-09-*"])
    assert accepted_templates(paths.accepted) == []
    assert accept_waiting(paths, [found.waiting[0].id]) == (1, paths.accepted)
    assert read_waiting(paths) == []
    (accepted,) = accepted_templates(paths.accepted)
    assert accepted == found.waiting[0].model_copy(update={"reviewed": True})
    again = collect_two(config, [*VQA, accepted])
    assert (again.accepted, again.waiting) == (1, [])
    paths.paraphrases.write_text("{}")
    with pytest.raises(DataError, match="not a report"):
        read_waiting(paths)


# --- the configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["api.example.org", "ftp://x/v1", "https://u:p@x/v1", "http://x/v1?key=1"]
)
def test_an_address_with_credentials_or_without_a_scheme_is_refused(address: str) -> None:
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    params["augment"]["base_url"] = address
    with pytest.raises(ConfigError, match=r"augment\.base_url"):
        check_config(params, where="params.yaml")
