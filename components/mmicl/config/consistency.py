"""What one section of params says of another."""

from mmicl.config.sections import Config
from mmicl.errors import ConfigError


def check_consistency(config: Config, where: str) -> None:
    """See that the sections fit each other.

    Raises:
        ConfigError: They do not; names the first key.
    """
    _check_pictures(config, where)
    _check_claims(config, where)
    _check_zero(config, where)
    _check_instruct(config, where)
    _check_held_out(config, where)
    _check_datasets(config, where)


def _check_pictures(config: Config, where: str) -> None:
    """Pictures are borrowed from a dataset before this one, which stores its own."""
    lenders: list[str] = []
    for name, dataset in config.datasets.items():
        if dataset.pictures == f"raw/{name}":
            lenders.append(name)
        elif dataset.lender not in lenders:
            choices = [f"raw/{name}", *(f"images/{lender}" for lender in lenders)]
            raise ConfigError(
                f"datasets.{name}.pictures: {dataset.pictures} is not there to take them from",
                where=where,
                remedy=f"name one of {', '.join(choices)}",
            )


def _check_instruct(config: Config, where: str) -> None:
    """Stage I trains a Q-Former that sees pictures alone."""
    if config.model.instruct_qformer and config.pretrain.steps:
        raise ConfigError(
            "model.instruct_qformer: stage I would train the Q-Former without an instruction",
            where=where,
            remedy="set pretrain.steps to 0: InstructBLIP's is trained",
        )


def _check_held_out(config: Config, where: str) -> None:
    """What is held out is not trained on, under whatever name."""
    barred = set(config.build.held_out)
    for part, quotas in {
        "pretrain": config.build.pretrain,
        "finetune": config.build.finetune,
    }.items():
        for name in quotas:
            dataset = config.datasets.get(name)
            if found := barred & {name, dataset.reader if dataset else name}:
                raise ConfigError(
                    f"build.{part}.{name}: {min(found)} is held out (build.held_out)",
                    where=where,
                    remedy="train on another dataset, or strike it from build.held_out",
                )


def _check_claims(config: Config, where: str) -> None:
    """A claim must name variants that there are; a benchmark that is left out is not measured."""
    known = set(config.ablation.variants)
    for number, claim in enumerate(config.ablation.claims):
        if unknown := sorted({claim.better, claim.worse} - known):
            raise ConfigError(
                f"ablation.claims[{number}]: no variant named {', '.join(unknown)}",
                where=where,
                remedy=f"there are {', '.join(sorted(known))}",
            )


def _check_zero(config: Config, where: str) -> None:
    """DeepSpeed offloads what it shards; of bf16 weights, ZeRO keeps the float32 ones."""
    launch = config.launch
    needs = {
        f"launch.offload {launch.offload}": {"none": 0, "optimizer": 1, "parameters": 3}[
            launch.offload
        ],
        "pretrain.precision bf16": int(config.pretrain.precision == "bf16"),
        "finetune.precision bf16": int(config.finetune.precision == "bf16"),
    }
    for what, stage in needs.items():
        if launch.zero_stage < stage:
            raise ConfigError(
                f"{what} needs launch.zero_stage {stage} or above, got {launch.zero_stage}",
                where=where,
            )


def _check_datasets(config: Config, where: str) -> None:
    """What is trained on or asked is a dataset."""
    known = set(config.datasets)
    for key, names in {
        "build.pretrain": set(config.build.pretrain),
        "build.finetune": set(config.build.finetune),
        "evaluate.benchmarks": {item.dataset for item in config.evaluate.benchmarks.values()},
    }.items():
        if unknown := sorted(names - known):
            raise ConfigError(
                f"{key}: no dataset named {', '.join(unknown)}",
                where=where,
                remedy=f"datasets has {', '.join(sorted(known))}",
            )
