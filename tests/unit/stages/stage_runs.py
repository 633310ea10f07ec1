"""Stages as functions, without DVC."""

import importlib
from typing import Any

from mmicl.config import check_config
from mmicl.paths import Paths
from mmicl.stages import StageContext


def run_stages(paths: Paths, params: dict[str, Any], *stages: str) -> None:
    """Run stages by DVC's names, one after the other."""
    config = check_config(params, "params.yaml")
    for stage in stages:
        group, _, member = stage.partition("@")
        context = StageContext(stage, member or None, config, paths, "0" * 40)
        importlib.import_module(f"mmicl.stages.{group}").run(context)
