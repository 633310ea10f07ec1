"""The feature cache: the same values as the model's, by key, whole or absent."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_model import Tiny

from mmicl.config import Lora
from mmicl.errors import DataError, UserError
from mmicl.images.store import ImageStore
from mmicl.model import features
from mmicl.model.features import (
    FeatureStore,
    check_frozen,
    compute_features,
    copy_encoder,
    discard_damaged,
    feature_key,
)
from mmicl.model.freeze import RECIPES, select_trainable
from mmicl.model.views import View

Pictures = tuple[ImageStore, list[str]]


@pytest.fixture
def key(tiny: Tiny) -> str:
    return feature_key(*tiny, "fp32")


def test_cached_features_are_those_of_the_model(
    tiny: Tiny, pictures: Pictures, key: str, tmp_path: Path
) -> None:
    model, processor = tiny
    images, references = pictures
    crop = f"{references[0]}@10,5,50,60"
    store = FeatureStore(tmp_path / "store", key)
    wanted = map(View, [*references, crop, crop, "blank"])
    assert store.ensure(wanted, images, model, processor) == 42
    for reference in (references[7], crop, "blank"):
        pixels = processor.pixels([images.load(reference)])
        with torch.no_grad():
            expected = model.get_image_features(pixels).qformer_outputs.last_hidden_state[0]
        scale = float(expected.abs().max())  # about 200: the backbone's features are enlarged
        torch.testing.assert_close(store.get(reference), expected, atol=1e-6 * scale, rtol=0)
    assert store.shape == (4, 128)
    assert FeatureStore(tmp_path / "store", key).get(crop).equal(store.get(crop))


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_but_stage_ones_learns_behind_cached_features(tiny: Tiny, recipe: str) -> None:
    model, processor = tiny
    if recipe == "stage1":
        names = select_trainable(model, recipe)
        with pytest.raises(UserError, match=r"qformer\..* and \d+ more would learn behind cached"):
            check_frozen(names)
        for name in ("query_tokens", "vision_model.post_layernorm.weight"):
            with pytest.raises(UserError, match=f"{name} would learn"):
                check_frozen([name])
    else:
        check_frozen(select_trainable(model, recipe))
        lora = Lora(rank=2, alpha=4.0)
        check_frozen(select_trainable(model, recipe, lora, processor.proxy_ids))


def test_values_do_not_depend_on_what_else_was_asked_for(tiny: Tiny, pictures: Pictures) -> None:
    images, references = pictures
    alone = next(compute_features([View(references[33])], images, *tiny))[0]
    together = torch.cat(list(compute_features([*map(View, references)], images, *tiny)))[33]
    assert torch.equal(alone, together)


def test_an_interrupted_run_goes_on(
    tiny: Tiny, pictures: Pictures, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, references = pictures
    monkeypatch.setattr(features, "SHARD_IMAGES", 32)

    def stop(done: int, number: int) -> None:
        if done > 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FeatureStore(tmp_path, key).ensure(map(View, references), images, *tiny, on_progress=stop)
    store = FeatureStore(tmp_path, key)
    assert len(store) == 32
    assert store.ensure(map(View, references), images, *tiny) == 8
    assert store.ensure(map(View, references), images, *tiny) == 0


@pytest.fixture(params=["processes", "replicas"])
def two(request: pytest.FixtureRequest, tiny: Tiny) -> dict[str, Any]:
    """How `ensure` is told to let two compute side by side."""
    if request.param == "processes":
        return {"processes": 2}
    replica = copy_encoder(tiny[0], torch.device("cpu"))
    assert replica.qformer is not tiny[0].qformer
    assert replica.language_model is tiny[0].language_model
    return {"replicas": [replica]}


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "SHARD_IMAGES", 16)


@pytest.mark.usefixtures("small_shards")
def test_two_write_what_one_writes(
    tiny: Tiny, pictures: Pictures, key: str, tmp_path: Path, two: dict[str, Any]
) -> None:
    images, references = pictures
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the stage does: forked processes share no thread pool
    told: list[tuple[int, int]] = []
    for name, how in (("one", {}), ("two", two)):
        store = FeatureStore(tmp_path / name, key)
        assert store.ensure(
            map(View, references), images, *tiny, **how,
            on_progress=lambda *count: told.append(count),
        ) == 40  # fmt: skip
        assert len(store) == 40
        assert "processes" in how or told.pop() == (40, 40)  # others' lists are their own
    torch.set_num_threads(threads)
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert one == other
    assert len(one) == 2 * 3 + 1


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("lost", [1, 40])
def test_what_one_of_two_cannot_compute_is_told_by_its_caller(
    tiny: Tiny, pictures: Pictures, key: str, tmp_path: Path, two: dict[str, Any], lost: int
) -> None:
    images, references = pictures
    store = FeatureStore(tmp_path, key)
    missing = [f"{number:064x}" for number in range(lost)]  # they come first
    with pytest.raises(DataError, match="0000000"):
        store.ensure(map(View, [*references, *missing]), images, *tiny, **two)
    assert len(store) < 40
    if lost == 1:  # the other's shard is kept; with 40, both fail and neither waits for the other
        assert len(store) >= 16


def test_a_shard_without_its_record_does_not_exist(
    tiny: Tiny, pictures: Pictures, key: str, tmp_path: Path
) -> None:
    images, references = pictures
    FeatureStore(tmp_path, key).ensure(map(View, references), images, *tiny)
    next(tmp_path.glob("features-*.json")).unlink()
    with pytest.raises(DataError, match="no features of this image"):
        FeatureStore(tmp_path, key).get(references[0])


def test_features_of_other_weights_are_refused(
    tiny: Tiny, pictures: Pictures, key: str, tmp_path: Path
) -> None:
    model, processor = tiny
    images, references = pictures
    store = FeatureStore(tmp_path, key)
    store.ensure(map(View, references[:2]), images, model, processor)
    with torch.no_grad():
        model.query_tokens += 1e-3
    changed = feature_key(model, processor, "fp32")
    assert changed != key
    with pytest.raises(DataError, match="these are features of key"):
        FeatureStore(tmp_path, changed)
    with pytest.raises(DataError, match="the model makes features of key"):
        store.ensure(map(View, references), images, model, processor)


def test_the_key_follows_preprocessing_and_precision_but_not_the_language_model(
    tiny: Tiny, key: str
) -> None:
    model, processor = tiny
    with torch.no_grad():
        model.language_projection.bias += 1
        model.language_model.shared.weight += 1
    assert feature_key(model, processor, "fp32") == key
    assert feature_key(model, processor, "bf16") != key
    image_processor: Any = processor.image_processor
    mean = image_processor.image_mean
    try:
        image_processor.image_mean = [0.5, 0.5, 0.5]
        assert feature_key(model, processor, "fp32") != key
    finally:
        image_processor.image_mean = mean


def test_a_shard_that_was_cut_is_refused(
    tiny: Tiny, pictures: Pictures, key: str, tmp_path: Path
) -> None:
    images, references = pictures
    FeatureStore(tmp_path, key).ensure(map(View, references), images, *tiny)
    shard = next(tmp_path.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(DataError, match="bytes instead of"):
        FeatureStore(tmp_path, key)


@pytest.mark.parametrize("damage", ["flip", "cut", "lose"])
def test_damage_is_found_and_mended(
    tiny: Tiny, pictures: Pictures, key: str, tmp_path: Path, damage: str
) -> None:
    images, references = pictures
    whole = FeatureStore(tmp_path, key)
    whole.ensure(map(View, references), images, *tiny)
    assert discard_damaged(tmp_path) == []
    before = whole.get(references[0])
    shard = next(tmp_path.glob("*.safetensors"))
    data = bytearray(shard.read_bytes())
    data[-5] ^= 1
    shard.unlink()
    if damage != "lose":
        shard.write_bytes(data if damage == "flip" else data[:-5])
    assert discard_damaged(tmp_path) == [shard.name]
    mended = FeatureStore(tmp_path, key)
    assert mended.ensure(map(View, references), images, *tiny) == len(references)
    assert torch.equal(mended.get(references[0]), before)


def test_half_precision_is_stored_as_such(tiny: Tiny, pictures: Pictures, tmp_path: Path) -> None:
    images, references = pictures
    store = FeatureStore(tmp_path, feature_key(*tiny, "bf16"), "bf16")
    store.ensure(map(View, references[:1]), images, *tiny)
    assert store.get(references[0]).dtype == torch.float32
    record = json.loads(next(tmp_path.glob("features-*.json")).read_text())
    assert record["bytes"] < 8 * 128 * 4
