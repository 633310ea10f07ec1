"""Stage II over a real engine: the recipe's weights learn, and features are those of the rest."""

from pathlib import Path

import pytest
import torch
from training_run import prepare, prepare_features
from training_workspace import read_config

from mmicl.errors import DataError, UserError
from mmicl.files import read_json
from mmicl.model.freeze import RECIPES, select_trainable
from mmicl.model.loading import load_model, load_trained, save_trained
from mmicl.paths import Paths
from mmicl.train.engine import blip2_of

pytestmark = pytest.mark.usefixtures("one_rank")

slow = pytest.mark.slow
"""ZeRO 3 on a processor takes ten seconds a run, and two recipes tell for the others in short."""


@pytest.mark.parametrize(
    ("recipe", "zero_stage"),
    [
        ("paper", 0),
        ("released", 2),
        pytest.param("paper", 3, marks=slow),
        pytest.param("design", 1, marks=slow),
        pytest.param("all", 2, marks=slow),
    ],
)
def test_stage_two_moves_the_recipes_weights_and_no_bit_of_the_rest(
    paths: Paths, tmp_path: Path, recipe: str, zero_stage: int
) -> None:
    prepare_features(paths)
    settings = {"trainable_attention": recipe, "steps": 3}
    launch = {"zero_stage": zero_stage}
    trainer = prepare(paths, tmp_path / "run", "finetune", finetune=settings, launch=launch)
    tensors = trainer.run()
    before, _ = load_model(str(paths.root / "base"), trained=[paths.pretrained])
    old = dict(before.named_parameters())
    assert sorted(tensors) == select_trainable(before, recipe)
    for name, value in tensors.items():
        assert not torch.equal(value, old[name]), name
    rest = {
        name: value
        for name, value in blip2_of(trainer.engine).named_parameters()
        if name not in tensors
    }
    assert len(rest) == len(old) - len(tensors) > len(tensors)
    for name, value in rest.items():
        whole = value if zero_stage < 3 else gather(value)
        assert torch.equal(whole, old[name]), name


def gather(value: torch.Tensor) -> torch.Tensor:
    """A parameter that ZeRO 3 keeps in shards."""
    import deepspeed

    with deepspeed.zero.GatheredParameters([value]):
        return value.detach().clone()


def test_features_of_other_weights_are_refused(paths: Paths, tmp_path: Path) -> None:
    prepare_features(paths)
    key = read_json(paths.features)["key"]
    model, _ = load_model(str(paths.root / "base"), trained=[paths.pretrained])
    names = load_trained(model, paths.pretrained)
    with torch.no_grad():
        dict(model.named_parameters())["query_tokens"][0, 0, 0] += 1e-3
    save_trained(model, paths.pretrained, names)
    message = r"features.json: these features are not those of the stage I weights; run the stage"
    with pytest.raises(DataError, match=message):
        prepare(paths, tmp_path / "run", "finetune")
    # of another precision as well, though of the same weights
    assert read_json(paths.features)["key"] == key
    read_config(paths, features={"precision": "bf16"})
    with pytest.raises(DataError, match=message):
        prepare(paths, tmp_path / "run", "finetune")


def test_a_recipe_that_trains_the_qformer_is_refused_in_stage_two(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_features(paths)
    monkeypatch.setitem(RECIPES, "design", (*RECIPES["design"], *RECIPES["stage1"]))
    with pytest.raises(UserError, match=r"would learn behind cached features"):
        prepare(paths, tmp_path / "run", "finetune")
