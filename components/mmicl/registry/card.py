"""The model card: README.md of the exported folder, the same text for the same inputs."""

from collections.abc import Mapping
from typing import Any

from mmicl.config import Config, Quota
from mmicl.records import place_image
from mmicl.registry.gates import list_controls

_PAPER = "https://arxiv.org/abs/2309.07915"


def write_card(config: Config, scores: Mapping[str, Any], gates: Mapping[str, Any]) -> str:
    """Write the card of a model as Markdown, with the hub's YAML head.

    Args:
        config: The params that it was made with.
        scores: reports/scores.json.
        gates: What `gates.judge` found.
    """
    return "\n".join(
        [
            *_write_head(config),
            *_write_introduction(config),
            *_write_data(config),
            *_write_scores(scores),
            *_write_gates(gates),
            *_write_limits(config),
        ]
    )


def _write_head(config: Config) -> list[str]:
    base = [] if config.model.base.startswith("builtin:") else [f"base_model: {config.model.base}"]
    return [
        "---",
        "library_name: transformers",
        "pipeline_tag: image-text-to-text",
        *base,
        "---",
        "",
    ]


def _write_introduction(config: Config) -> list[str]:
    revision = f" at {config.model.revision}" if config.model.revision else ""
    lora = config.finetune.lora
    adapters = f"LoRA adapters of rank {lora.rank} beside " if lora else ""
    place = place_image(config.build.scheme.tags)
    proxies = "the proxies' embeddings, " if config.finetune.train_proxies else ""
    return [
        f"# {config.register_.name}",
        "",
        f"A BLIP-2 model for several images in one context, after [MMICL]({_PAPER}), trained from "
        f"`{config.model.base}`{revision}. Stage I aligned the Q-Former to the frozen language "
        f"model ({config.pretrain.steps} steps of {config.pretrain.global_batch} samples); stage "
        f"II tuned the projection, {proxies}and {adapters}the attention projections of the recipe "
        f"`{config.finetune.trainable_attention}` on multi-modal in-context data "
        f"({config.finetune.steps} steps of {config.finetune.global_batch} samples).",
        "",
        "```python",
        "from transformers import AutoTokenizer, Blip2ForConditionalGeneration",
        "",
        'model = Blip2ForConditionalGeneration.from_pretrained("FOLDER")',
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        "```",
        "",
        f"A prompt declares each image before it speaks of it: `image 0 is <image0>{place}. "
        "Question: what is in image 0? Answer:`. Repeat the placeholder 图 as often as the model "
        "has query tokens (`config.num_query_tokens`), per image.",
        "",
    ]


def _write_data(config: Config) -> list[str]:
    lines = ["## Data", "", "| dataset | source | licence | used for |", "|---|---|---|---|"]
    build, benchmarks = config.build, config.evaluate.benchmarks
    for name, dataset in sorted(config.datasets.items()):
        uses = [
            f"stage I ({_tell_quota(build.pretrain[name])})" if name in build.pretrain else "",
            f"stage II ({_tell_quota(build.finetune[name])})" if name in build.finetune else "",
            *(
                f"benchmark {key}"
                for key, benchmark in sorted(benchmarks.items())
                if benchmark.dataset == name
            ),
        ]
        used = ", ".join(use for use in uses if use) or "nothing"
        lines.append(f"| {name} | `{dataset.source}` | {dataset.licence} | {used} |")
    return [*lines, ""]


def _tell_quota(quota: Quota) -> str:
    if isinstance(quota, int):
        return f"{quota} samples at the most"
    return f"{quota:.3g} of its samples"


def _write_scores(scores: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Scores",
        "",
        "With 95 % intervals, beside what needs no understanding of the images. A score counts "
        "from its best control up.",
        "",
        "| benchmark | score | n | chance | majority answer | images blanked | images shuffled "
        "| text only |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for benchmark, result in sorted(scores["benchmarks"].items()):
        for metric, found in sorted(result["metrics"].items()):
            controls = list_controls(found)
            cells = [
                f"{controls[name]:.1f}" if name in controls else "-"
                for name in ("chance", "majority", "blank", "shuffled", "text_only")
            ]
            lines.append(
                f"| {benchmark} {metric} | {format_score(found)} | {result['n']} "
                f"| {' | '.join(cells)} |"
            )
    return [*lines, ""]


def _write_gates(gates: Mapping[str, Any]) -> list[str]:
    lines = ["## Gates", ""]
    if not gates["gates"]:
        return [*lines, "None are set.", ""]
    for key, gate in sorted(gates["gates"].items()):
        lines.append(f"- {describe_gate(key, gate)}")
    return [*lines, ""]


def _write_limits(config: Config) -> list[str]:
    return [
        "## Limits",
        "",
        "- It was measured on the data above and on nothing else; a score near its controls means "
        "that the model does not do that task.",
        f"- At most {config.build.max_images} images a prompt were seen in training.",
        "- Answers are short; it was not trained to refuse, to converse or to be safe.",
        "- The licences of the datasets and of the starting point bind whoever uses the weights.",
        "",
    ]


def format_score(score: Mapping[str, Any]) -> str:
    """A score with its interval, `71.3 [67.0, 75.1]`."""
    if score["low"] is None or score["high"] is None:
        return f"{score['value']:.1f}"
    return f"{score['value']:.1f} [{score['low']:.1f}, {score['high']:.1f}]"


def describe_gate(key: str, gate: Mapping[str, Any]) -> str:
    """One gate in words: what was asked, what was reached."""
    return (
        f"{key}: {'passed' if gate['passed'] else 'not passed'}; lower bound {gate['low']:.1f}, "
        f"{gate['lead']:+.1f} points from the best control ({gate['control']}, "
        f"{gate['best_control']:.1f}), {gate['margin']:.1f} are asked"
    )
