"""Models in and out: trained parts, exports for plain transformers, folders that lack files."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_model import Tiny
from transformers import AutoTokenizer, Blip2ForConditionalGeneration

from mmicl.config import Lora
from mmicl.errors import DataError, UserError
from mmicl.model.freeze import select_trainable
from mmicl.model.loading import export_model, load_model, load_trained, locate_base, save_trained
from mmicl.model.lora import ROWS
from mmicl.model.tiny import build_config, build_model, build_tokenizer, write_backbone

BUILTIN = Path(locate_base("builtin:tiny"))


def shift(model: Blip2ForConditionalGeneration, names: list[str]) -> None:
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name in names:
            parameters[name].add_(0.01)


def test_trained_parts_come_back_and_nothing_else_is_stored(tiny: Tiny, tmp_path: Path) -> None:
    model, _ = tiny
    names = select_trainable(model, "design")
    shift(model, names)
    save_trained(model, tmp_path / "a", names, {"base": "builtin:tiny"})
    save_trained(model, tmp_path / "b", names, {"base": "builtin:tiny"})
    for file in ("trained.safetensors", "trained.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "trained.safetensors").stat().st_size < 1_300_000
    loaded, _ = load_model("builtin:tiny", trained=[tmp_path / "a"])
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_later_parts_lie_over_earlier_ones(tiny: Tiny, tmp_path: Path) -> None:
    model, _ = tiny
    first = select_trainable(model, "stage1")
    shift(model, first)
    save_trained(model, tmp_path / "one", first)
    second = select_trainable(model, "paper")
    shift(model, second)
    save_trained(model, tmp_path / "two", second)
    loaded, _ = load_model("builtin:tiny", trained=[tmp_path / "one", tmp_path / "two"])
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_lora_adapters_are_saved_alone_and_merged_on_loading_and_export(
    tiny: Tiny, tmp_path: Path
) -> None:
    model, processor = tiny
    plain = {name: tuple(value.shape) for name, value in model.named_parameters()}
    ids = torch.tensor([[30, 40, 50, 1]])
    start = torch.zeros(1, 2, dtype=torch.long)
    before = model.language_model(input_ids=ids, decoder_input_ids=start).logits
    lora = Lora(rank=2, alpha=8.0)
    names = select_trainable(model, "design", lora)
    model.eval()
    untrained = model.language_model(input_ids=ids, decoder_input_ids=start).logits
    torch.testing.assert_close(untrained, before, atol=1e-4, rtol=1e-5)
    shift(model, names)
    expected = model.language_model(input_ids=ids, decoder_input_ids=start).logits
    assert not torch.allclose(expected, before, atol=1e-3)
    save_trained(model, tmp_path / "lora", names, {"lora": {"rank": 2, "alpha": 8.0}})
    assert (tmp_path / "lora" / "trained.safetensors").stat().st_size < 200_000
    loaded, _ = load_model("builtin:tiny", trained=[tmp_path / "lora"])
    assert {name: tuple(value.shape) for name, value in loaded.named_parameters()} == plain
    export_model(loaded, processor, tmp_path / "export")
    exported = Blip2ForConditionalGeneration.from_pretrained(tmp_path / "export").eval()
    for each in (loaded, exported):
        found = each.language_model(input_ids=ids, decoder_input_ids=start).logits
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("lora", [None, Lora(rank=2, alpha=8.0)])
def test_embeddings_that_learnt_are_saved_alone_and_merged_into_the_table(
    tiny: Tiny, tmp_path: Path, lora: Lora | None
) -> None:
    processor = tiny[1]
    model: Any = tiny[0]
    plain = {name: value.clone() for name, value in model.named_parameters()}
    tokens = [processor.proxy_ids[place] for place in (0, 7)]
    names = select_trainable(model, "design", lora, tokens)
    shift(model, [ROWS])
    rows = dict(model.named_parameters())[ROWS].detach().clone()
    told = {"lora": lora.model_dump()} if lora else {}
    save_trained(model, tmp_path, names, {**told, "tokens": tokens})
    loaded: Any = load_model("builtin:tiny", trained=[tmp_path])[0]
    parameters = dict(loaded.named_parameters())
    assert parameters.keys() == plain.keys()
    table = "language_model.shared.weight"
    expected = plain[table].index_copy(0, torch.tensor(tokens), rows)
    assert not torch.equal(expected, plain[table])
    assert torch.equal(parameters[table], expected)
    assert torch.equal(loaded.language_model.encoder.embed_tokens.weight, expected)
    export_model(loaded, processor, tmp_path / "export")
    exported = Blip2ForConditionalGeneration.from_pretrained(tmp_path / "export")
    assert torch.equal(exported.state_dict()[table], expected)


def test_adapters_without_their_scale_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    model, _ = tiny
    save_trained(model, tmp_path, select_trainable(model, "design", Lora(rank=2, alpha=8.0)))
    with pytest.raises(DataError, match="does not say of which form"):
        load_model("builtin:tiny", trained=[tmp_path])


def test_damaged_or_foreign_parts_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    model, _ = tiny
    save_trained(model, tmp_path, ["query_tokens"])
    weights = tmp_path / "trained.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DataError, match=r"trained.safetensors: the digest is not"):
        load_trained(model, tmp_path)
    weights.unlink()
    with pytest.raises(DataError, match=r"trained.safetensors: no such file"):
        load_trained(model, tmp_path)
    other = build_config()
    other.num_query_tokens = 5
    save_trained(build_model(other, 0), tmp_path, ["query_tokens"])
    with pytest.raises(DataError, match=r"query_tokens \(1, 5, 128\) does not fit"):
        load_trained(model, tmp_path)


def test_an_export_loads_without_this_project_and_gives_the_same_logits(
    tiny: Tiny, pictures, tmp_path: Path
) -> None:
    model, processor = tiny
    shift(model, select_trainable(model, "all"))
    model.eval()
    images, references = pictures
    prompt = "image 0 is <image0>图. What is this? Answer:"
    batch = processor([[images.load(references[0])]], [prompt])
    labels = processor.encode_targets(["a red circle"]).labels
    export_model(model, processor, tmp_path / "export")
    plain = Blip2ForConditionalGeneration.from_pretrained(tmp_path / "export").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "export")
    ids = tokenizer(prompt.replace("图", "图" * plain.config.num_query_tokens), return_tensors="pt")
    assert torch.equal(ids.input_ids, batch["input_ids"])
    with torch.no_grad():
        expected = model(**batch, labels=labels).logits
        found = plain(pixel_values=batch["pixel_values"], **ids, labels=labels).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("config.json", "lacks config.json"),
        ("model.safetensors", "lacks weights"),
        ("tokenizer.json", "lacks a tokenizer"),
        ("preprocessor_config.json", "lacks preprocessor_config.json"),
    ],
)
def test_a_folder_that_lacks_a_file_is_refused(tmp_path: Path, lost: str, message: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUILTIN, folder)
    (folder / lost).unlink()
    with pytest.raises(UserError, match=message):
        load_model(str(folder))


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUILTIN, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUILTIN, folder)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(UserError, match="the model is of type gpt2, not blip-2 or instructblip"):
        load_model(str(folder))


@pytest.mark.parametrize("base", ["builtin:huge", "/no/such/folder", "./none"])
def test_a_base_that_does_not_exist_is_refused(base: str) -> None:
    with pytest.raises(UserError, match="no such"):
        load_model(base)


def test_the_backbone_folder_is_reproducible_and_small(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(["a red circle", "a blue square"])
    for name in ("a", "b"):
        write_backbone(tmp_path / name, build_model(build_config(), 3), tokenizer)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    assert sum(path.stat().st_size for path in BUILTIN.iterdir()) < 6_000_000
    shipped = (BUILTIN / "config.json").read_text()
    assert shipped == (tmp_path / "a" / "config.json").read_text()


def test_random_queries_differ(tmp_path: Path) -> None:
    queries = build_model(build_config(), 0).query_tokens[0]
    assert len({tuple(row.tolist()) for row in queries}) == len(queries)
