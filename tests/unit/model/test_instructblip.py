"""An InstructBLIP checkpoint: without instruction to its Q-Former a BLIP-2 model, and with it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
    PreTrainedTokenizerFast,
)

from mmicl.config import check_config, read_params
from mmicl.errors import ConfigError, UserError
from mmicl.images.store import ImageStore
from mmicl.model.features import FeatureStore, compute_features, feature_key
from mmicl.model.inference import Predictor
from mmicl.model.instructblip import convert_instructblip
from mmicl.model.loading import export_model, load_model, load_processor, locate_base
from mmicl.model.processor import MmiclProcessor
from mmicl.model.tiny import build_config
from mmicl.model.views import View
from mmicl.records import Sample
from mmicl.train.batches import BatchMaker

BUILTIN = Path(locate_base("builtin:tiny"))
ROOT = Path(__file__).resolve().parents[3]
Pictures = tuple[ImageStore, list[str]]
PROMPTS = [
    "image 0 is <image0>图. Is it red?",
    "image 0 is <image0>图. image 1 is <image1>图. What is square?",
    "image 0 is <image0>图. What is square?",
]
INSTRUCTIONS = [
    "image 0 is . Is it red?", "image 0 is . image 1 is . What is square?",
    "image 0 is . What is square?",
]  # fmt: skip
WORDS = ["image", "is", "it", "red", "what", "square", "0", "1", ".", "?"]
POSITIONS = 32
"""Tokens of an instruction that the Q-Former has room for."""


def write_qformer_tokenizer(folder: Path, words: list[str]) -> PreTrainedTokenizerFast:
    """A BERT tokenizer of a few words, where InstructBLIP's checkpoints have it."""
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words]
    tokenizer = Tokenizer(models.WordPiece(dict(zip(known, range(50), strict=False)),
                                           unk_token="[UNK]"))  # fmt: skip
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=None, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]",
    )  # fmt: skip
    fast.save_pretrained(folder / "qformer_tokenizer")
    return fast


@pytest.fixture
def folder(instructblip: Any, tmp_path: Path) -> Path:
    """The checkpoint in the hub's layout."""
    place = tmp_path / "instructblip"
    instructblip.save_pretrained(place)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (place / name).write_bytes((BUILTIN / name).read_bytes())
    write_qformer_tokenizer(place, WORDS)
    return place


@pytest.fixture
def instructblip() -> Any:
    tiny: Any = build_config()
    config = InstructBlipConfig(
        vision_config=InstructBlipVisionConfig(
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=64,
            patch_size=8,
            initializer_range=0.02,
        ),
        qformer_config=InstructBlipQFormerConfig(
            vocab_size=50,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=POSITIONS,
        ),
        text_config=tiny.text_config,
        num_query_tokens=8,
        image_token_index=tiny.image_token_index,
    )
    torch.manual_seed(0)
    model = InstructBlipForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens, std=0.02)
    return model.eval()


@torch.no_grad()
def test_features_and_answers_are_those_of_the_text_free_qformer(instructblip: Any) -> None:
    model: Any = convert_instructblip(instructblip)
    pixels = torch.randn(3, 3, 64, 64)
    states = instructblip.vision_model(pixels).last_hidden_state
    expected = instructblip.qformer(
        input_ids=None,
        query_embeds=instructblip.query_tokens.expand(3, -1, -1),
        encoder_hidden_states=states,
    ).last_hidden_state
    found = model.get_image_features(pixels).qformer_outputs.last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    projected = instructblip.language_projection(expected)
    torch.testing.assert_close(model.language_projection(found), projected, atol=1e-5, rtol=0)
    ids, start = torch.tensor([[30, 40, 50, 1]]), torch.zeros(1, 1, dtype=torch.long)
    logits = [
        each.language_model(input_ids=ids, decoder_input_ids=start).logits
        for each in (instructblip, model)
    ]
    assert torch.equal(*logits)


def test_a_folder_of_instructblip_loads_as_a_base(folder: Path, instructblip: Any) -> None:
    model, processor = load_model(str(folder))
    assert model.config.model_type == "blip-2"
    assert not any("word_embeddings" in name for name, _ in model.named_parameters())
    assert processor.num_query_tokens == 8 and processor.instruct_tokenizer is None
    for name, value in model.language_model.state_dict().items():
        assert torch.equal(value, instructblip.language_model.state_dict()[name]), name


# --- with an instruction -------------------------------------------------------------------------


def test_scores_are_those_of_the_plain_model_that_reads_the_prompt(
    folder: Path, pictures: Pictures, tmp_path: Path
) -> None:
    images, references = pictures
    model, processor = load_model(str(folder), instruct=True)
    plain = InstructBlipForConditionalGeneration.from_pretrained(folder).eval()
    plain.config.image_token_index = processor.placeholder_id
    tokenizer = AutoTokenizer.from_pretrained(folder / "qformer_tokenizer")
    names = [references[:1], references[1:3], references[:1]]
    predictor = Predictor(model, processor, images, batch_size=2)
    scores = predictor.score(PROMPTS, names, [["red"]] * 3)
    for place, (prompt, row) in enumerate(zip(PROMPTS, names, strict=True)):
        told = tokenizer([INSTRUCTIONS[place]] * len(row), return_tensors="pt")
        batch = MmiclProcessor.from_pretrained(folder)([[images.load(it) for it in row]], [prompt])
        labels = processor.encode_targets(["red"]).labels
        with torch.no_grad():
            loss = plain(
                **batch, labels=labels,
                qformer_input_ids=told["input_ids"],
                qformer_attention_mask=told["attention_mask"],
            ).loss  # fmt: skip
            own = model(
                **processor([[images.load(it) for it in row]], [prompt]), labels=labels
            ).loss
        assert scores[place][0] == pytest.approx(-float(loss) * labels.shape[1], abs=1e-4)
        assert float(own) == pytest.approx(float(loss), abs=1e-5)
    assert abs(scores[0][0] - scores[2][0]) > 1e-3, "one picture, two instructions"


def test_features_are_kept_for_each_image_and_instruction(
    folder: Path, pictures: Pictures, tmp_path: Path
) -> None:
    images, references = pictures
    model, processor = load_model(str(folder), instruct=True)
    key = feature_key(model, processor, "fp32")
    names = [references[:1], references[1:3], references[:1]]
    shown = [
        view for prompt, row in zip(PROMPTS, names, strict=True)
        for view in processor.views(prompt, row)
    ]  # fmt: skip
    assert [view.instruction for view in shown] == [INSTRUCTIONS[n] for n in (0, 1, 1, 2)]
    store = FeatureStore(tmp_path / "store", key)
    assert store.ensure(shown, images, model, processor) == 4, "the first picture twice"
    first, *_, again = shown
    assert first.image == again.image and first.key != again.key
    assert not torch.allclose(store.get(first.key), store.get(again.key), atol=1e-3)
    for view in shown:
        (alone,) = compute_features([view], images, model, processor)
        torch.testing.assert_close(store.get(view.key), alone[0], atol=1e-5, rtol=0)
    assert feature_key(model, processor, "fp32") == key, "asked again, after the tokenizer's use"
    cached = Predictor(model, processor, images, store).score(PROMPTS, names, [["red"]] * 3)
    plain = Predictor(model, processor, images, batch_size=1)
    for found, wanted in zip(cached, plain.score(PROMPTS, names, [["red"]] * 3), strict=True):
        assert found == pytest.approx(wanted, abs=1e-4)
    blind = feature_key(*load_model(str(folder)), "fp32")
    processor.instruct_tokenizer = write_qformer_tokenizer(tmp_path, ["square", "red"])
    assert len({key, blind, feature_key(model, processor, "fp32")}) == 3


def test_a_batch_shows_a_picture_once_for_each_instruction(folder: Path) -> None:
    processor = load_processor(str(folder), instruct=True)
    prompts = [PROMPTS[0], PROMPTS[0], PROMPTS[2]]
    samples = [
        Sample(
            id=str(number), source="s", dataset="d", split="train", task="vqa", images=("p",),
            prompt=prompt, target="red", template="t", group="g",
        )
        for number, prompt in enumerate(prompts)
    ]  # fmt: skip
    asked: list[View] = []

    def load(view: View) -> torch.Tensor:
        asked.append(view)
        return torch.full((8, 128), float(len(asked)))

    maker = BatchMaker(
        samples, processor, load, ranks=1, rank=0, micro_batch=3, micro_tokens=1000,
        max_target_tokens=8,
    )  # fmt: skip
    (micro,) = maker.make([0, 1, 2]).micro_batches
    assert {view.instruction for view in asked} == {INSTRUCTIONS[0], INSTRUCTIONS[2]}
    assert len(micro.visual) == 2
    slots = dict(zip(micro.names, micro.slots.tolist(), strict=True))
    assert slots["0"] == slots["1"] != slots["2"]


def test_of_a_long_instruction_the_end_is_read(folder: Path) -> None:
    processor = load_processor(str(folder), instruct=True)
    ids = [
        processor.encode_instructions([View("p", "red " * number + "what square")])
        for number in (40, POSITIONS - 4)
    ]
    long, fits = (told["qformer_input_ids"] for told in ids)
    assert long.shape == fits.shape == (1, POSITIONS)
    assert torch.equal(long, fits)


def test_what_is_exported_reads_instructions_wherever_it_is_loaded(
    folder: Path, pictures: Pictures, tmp_path: Path
) -> None:
    images, references = pictures
    model, processor = load_model(str(folder), instruct=True)
    export_model(model, processor, tmp_path / "export")
    again, own = load_model(str(tmp_path / "export"))
    assert own.instruct_tokenizer is not None
    plain: Any = InstructBlipForConditionalGeneration.from_pretrained(tmp_path / "export").eval()
    batch = processor([[images.load(references[0])]], PROMPTS[:1])
    labels = processor.encode_targets(["red"]).labels
    with torch.no_grad():
        logits = [each(**batch, labels=labels).logits for each in (model, again, plain)]
    torch.testing.assert_close(logits[1], logits[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits[2], logits[0], atol=1e-5, rtol=0)


def test_what_cannot_read_an_instruction_is_refused_in_one_line(folder: Path) -> None:
    with pytest.raises(UserError, match="the Q-Former of a BLIP-2 model reads no instruction"):
        load_model("builtin:tiny", instruct=True)
    shutil.rmtree(folder / "qformer_tokenizer")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(str(folder), instruct=True)
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    params["model"]["instruct_qformer"] = True
    with pytest.raises(ConfigError, match="stage I would train the Q-Former without an instruc"):
        check_config(params, "test")
    params["pretrain"]["steps"] = 0
    check_config(params, "test")
