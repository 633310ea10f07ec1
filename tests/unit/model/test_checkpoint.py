"""Published layouts load with every key accounted for, and come out the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from flan_checkpoints import make_model, write_bin, write_checkpoint
from transformers import Blip2ForConditionalGeneration

from mmicl.errors import UserError
from mmicl.model.loading import export_model, load_model

IDS, START = torch.tensor([[30, 40, 50, 1]]), torch.zeros(1, 2, dtype=torch.long)


@pytest.fixture(scope="module")
def blip2() -> Any:
    return make_model("blip-2")


@pytest.fixture(scope="module")
def instructblip() -> Any:
    return make_model("instructblip")


def read_logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.language_model(input_ids=IDS, decoder_input_ids=START).logits


@pytest.mark.parametrize("form", ["safetensors", "shards", "bin"])
def test_blip2_checkpoints_load_whatever_their_files(blip2: Any, tmp_path: Path, form: str) -> None:
    write_checkpoint(blip2, tmp_path, form)
    assert (form == "shards") == (len(list(tmp_path.glob("model-*.safetensors"))) > 1)
    loaded, processor = load_model(str(tmp_path))
    assert loaded.config.image_token_index == processor.placeholder_id
    weights = loaded.state_dict()
    assert weights.keys() == blip2.state_dict().keys()
    for name, value in blip2.state_dict().items():
        assert torch.equal(weights[name], value), name


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_flan_t5_keeps_its_head_and_scale_through_conversion_and_export(
    instructblip: Any, tmp_path: Path, form: str
) -> None:
    loaded, processor = load_model(str(write_checkpoint(instructblip, tmp_path / "base", form)))
    expected = read_logits(instructblip)
    torch.testing.assert_close(read_logits(loaded), expected, atol=1e-5, rtol=0)
    export_model(loaded, processor, tmp_path / "export")
    plain = Blip2ForConditionalGeneration.from_pretrained(tmp_path / "export").eval()
    torch.testing.assert_close(read_logits(plain), expected, atol=1e-5, rtol=0)


def test_every_key_of_instructblip_is_used_or_of_the_text_path(
    instructblip: Any, tmp_path: Path
) -> None:
    loaded, _ = load_model(str(write_checkpoint(instructblip, tmp_path)))
    given = {
        name.replace("qformer.embeddings.layernorm.", "qformer.layernorm."): value
        for name, value in instructblip.state_dict().items()
    }
    taken = loaded.state_dict()
    assert not taken.keys() - given.keys()
    for name, value in taken.items():
        assert torch.equal(value, given[name]), name
    left = {name.split(".layer.")[-1].lstrip("01.") for name in given.keys() - taken.keys()}
    assert left == {
        "qformer.embeddings.word_embeddings.weight",
        "qformer.embeddings.position_embeddings.weight",
        *(f"intermediate.dense.{part}" for part in ("weight", "bias")),
        *(f"output.dense.{part}" for part in ("weight", "bias")),
        *(f"output.LayerNorm.{part}" for part in ("weight", "bias")),
    }


def test_released_qformer_rows_differ_from_the_config(instructblip: Any, tmp_path: Path) -> None:
    write_checkpoint(instructblip, tmp_path, "bin")
    weights = dict(instructblip.state_dict())
    words = "qformer.embeddings.word_embeddings.weight"
    weights[words] = torch.zeros(30_524, 16)
    write_bin(weights, tmp_path)
    loaded, _ = load_model(str(tmp_path))
    assert torch.equal(loaded.query_tokens, instructblip.query_tokens)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("lose", "the checkpoint lacks language_projection.bias"),
        ("add", "Blip2ForConditionalGeneration does not know language_projection.scale"),
        ("resize", "has another shape for language_projection.bias"),
    ],
)
def test_a_key_that_does_not_fit_is_named(
    blip2: Any, tmp_path: Path, change: str, message: str
) -> None:
    write_checkpoint(blip2, tmp_path, "bin")
    weights = dict(blip2.state_dict())
    if change == "lose":
        del weights["language_projection.bias"]
    else:
        name = "language_projection." + ("scale" if change == "add" else "bias")
        weights[name] = torch.zeros(7)
    write_bin(weights, tmp_path)
    with pytest.raises(UserError, match=message):
        load_model(str(tmp_path))


def test_a_pickle_that_would_run_code_is_refused(blip2: Any, tmp_path: Path) -> None:
    write_checkpoint(blip2, tmp_path, "bin")
    shard = next(tmp_path.glob("pytorch_model-*.bin"))
    torch.save({"language_projection.bias": Runs()}, shard)
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(str(tmp_path))


class Runs:
    """Something that is no tensor."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("run",)
