"""The estimate's parameter counts are those of transformers' own modules."""

from pathlib import Path
from typing import Any

import pytest

from mmicl.benchmarks import BENCHMARKS
from mmicl.config import load_config
from mmicl.errors import UserError
from mmicl.launch.estimate import (
    ARCHITECTURES,
    ASKED,
    describe,
    estimate,
    find_architecture,
    order_benchmarks,
)

PROFILES = Path(__file__).resolve().parents[3] / "profiles"


@pytest.mark.parametrize(
    ("name", "expected"), [("flan-t5-xl", 2_849_757_184), ("flan-t5-xxl", 11_135_332_352)]
)
def test_language_model_has_the_published_size(name: str, expected: int) -> None:
    assert ARCHITECTURES[name].language == expected


def test_counts_agree_with_transformers() -> None:
    import torch
    from transformers import Blip2Config, Blip2ForConditionalGeneration, T5Config

    shape = ARCHITECTURES["flan-t5-xl"]
    text = T5Config(
        d_model=shape.width,
        d_ff=shape.feed_forward,
        num_heads=shape.heads,
        d_kv=shape.head_width,
        num_layers=shape.layers,
        num_decoder_layers=shape.layers,
        vocab_size=shape.vocabulary,
        feed_forward_proj="gated-gelu",
    )
    with torch.device("meta"):
        model = Blip2ForConditionalGeneration(Blip2Config(text_config=text.to_dict()))

    def count(*parameters: torch.nn.Parameter) -> int:
        return sum(parameter.numel() for parameter in parameters)

    assert count(*model.vision_model.parameters()) == shape.vision
    assert count(*model.qformer.parameters(), model.query_tokens) == shape.qformer
    assert count(*model.language_projection.parameters()) == shape.projection
    keys_and_values = [
        parameter
        for name, parameter in model.language_model.named_parameters()
        if name.endswith((".k.weight", ".v.weight"))
    ]
    assert count(*keys_and_values) + shape.projection == shape.trained("design")


def test_more_processes_need_less_memory_each_and_less_time() -> None:
    config = load_config(PROFILES / "flan-t5-xxl.yaml")
    one = config.model_copy(update={"launch": config.launch.model_copy(update={"processes": 1})})
    six = estimate(config)
    assert six.gpu_memory < estimate(one).gpu_memory
    assert six.main_memory == 6 * estimate(one).main_memory
    assert estimate(one).main_memory == pytest.approx(4 * 12.23e9 / 2**30, rel=0.01)
    assert estimate(one).finetune_hours == pytest.approx(6 * six.finetune_hours)


def test_shares_and_trained_proxies_are_told() -> None:
    config = load_config(PROFILES / "flan-t5-xl.yaml")
    assert "shares" not in describe(config)["disk"]
    build = config.build.model_copy(update={"finetune": {"vqav2": 0.1}})
    told = describe(config.model_copy(update={"build": build}))["disk"]
    assert told.endswith("GiB, without the samples of quotas that are shares")
    finetune = config.finetune.model_copy(update={"train_proxies": True})
    more = estimate(config.model_copy(update={"finetune": finetune})).trained
    assert more - estimate(config).trained == 20 * 2048


def test_evaluation_counts_every_prompt_and_its_length() -> None:
    config = load_config(PROFILES / "flan-t5-xl.yaml")

    def evaluate(entry: str, **changes: Any) -> tuple[int, float]:
        benchmark = config.evaluate.benchmarks[entry].model_copy(update={"limit": 100})
        update = {"benchmarks": {entry: benchmark}, "controls": [], **changes}
        own = config.evaluate.model_copy(update=update)
        told = estimate(config.model_copy(update={"evaluate": own}))
        return told.requests, told.evaluate_hours

    prompts, hours = evaluate("vqav2")
    assert prompts == 100
    assert evaluate("vqav2", controls=["blank", "shuffled", "text_only"])[0] == 400
    assert evaluate("winoground")[0] == 400
    more, longer = evaluate("vqav2-4shot")
    assert more == 100 * config.evaluate.exemplar_draws
    assert longer > 3 * hours
    assert evaluate("vqav2-4shot", max_tokens=128)[1] < longer
    assert evaluate("nextqa")[1] > 1.5 * evaluate("aokvqa")[1]  # eight frames
    assert set(ASKED) <= set(BENCHMARKS)


def test_benchmarks_are_shared_out_among_gpus_the_longest_first() -> None:
    config = load_config(PROFILES / "flan-t5-xl.yaml")
    order = order_benchmarks(config)
    assert sorted(order) == sorted(config.evaluate.benchmarks)
    assert set(order[:3]) == {"visdial", "vqav2-8shot", "msrvtt_qa"}
    assert order.index("vqav2-4shot") < order.index("vqav2")

    def hours(processes: int, *names: str) -> float:
        benchmarks = config.evaluate.benchmarks
        kept = {name: benchmarks[name] for name in names or benchmarks}
        evaluate = config.evaluate.model_copy(update={"benchmarks": kept})
        launch = config.launch.model_copy(update={"processes": processes})
        told = estimate(config.model_copy(update={"evaluate": evaluate, "launch": launch}))
        return told.evaluate_hours

    assert hours(4) == pytest.approx(hours(1) / 4, rel=0.02)
    assert hours(40) == hours(1, order[0]), "no benchmark is cut"
    both, alone = hours(1, "vqav2", "vqav2-4shot"), hours(1, "vqav2") + hours(1, "vqav2-4shot")
    assert alone > both, "their pictures are the same"


def test_evaluation_in_bf16_takes_half_the_memory_and_the_faster_peak() -> None:
    config = load_config(PROFILES / "flan-t5-xl.yaml")
    evaluate = config.evaluate.model_copy(update={"precision": "bf16"})
    half, whole = estimate(config.model_copy(update={"evaluate": evaluate})), estimate(config)
    assert half.evaluation_memory == whole.evaluation_memory / 2
    assert half.evaluate_hours == pytest.approx(whole.evaluate_hours * 37.4 / 150)


def test_unknown_base_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="some/other: no estimate"):
        find_architecture("some/other")
