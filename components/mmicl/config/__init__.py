"""params.yaml -> one frozen, strict Config. The file is always complete: no key has a default.

A key's meaning stands at its field; its place says what it invalidates. Everything under `launch`
is hardware and invalidates nothing.
"""

from mmicl.config.reading import check_config, find_profile, load_config, read_params
from mmicl.config.sections import (
    Ablation,
    Augment,
    Benchmark,
    Build,
    Claim,
    Config,
    Control,
    Dataset,
    Evaluate,
    Features,
    Finetune,
    Launch,
    Lora,
    Model,
    Pretrain,
    Prices,
    Quota,
    Register,
    Scheme,
    Section,
    Training,
    Validate,
    Validation,
)

__all__ = [
    "Ablation",
    "Augment",
    "Benchmark",
    "Build",
    "Claim",
    "Config",
    "Control",
    "Dataset",
    "Evaluate",
    "Features",
    "Finetune",
    "Launch",
    "Lora",
    "Model",
    "Pretrain",
    "Prices",
    "Quota",
    "Register",
    "Scheme",
    "Section",
    "Training",
    "Validate",
    "Validation",
    "check_config",
    "find_profile",
    "load_config",
    "read_params",
]
