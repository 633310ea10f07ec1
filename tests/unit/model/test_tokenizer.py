"""The miniature's tokenizer loses nothing, and the released ids come out of the real T5's."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from mmicl.augment.bank import shipped_bank
from mmicl.config import load_config
from mmicl.model.loading import locate_base
from mmicl.model.processor import add_mmicl_tokens
from mmicl.model.tiny import CORPUS, build_tokenizer, read_corpus
from mmicl.records import MAX_PROXIES, PLACEHOLDER, proxy
from mmicl.sources import READERS
from mmicl.world.language import list_words

ROOT = Path(__file__).resolve().parents[3]
TOKENIZER = AutoTokenizer.from_pretrained(locate_base("builtin:tiny"))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_comes_back(text: str) -> None:
    text = text.lstrip(" ").replace("▁", "_")  # the two losses that the docstring names
    ids = TOKENIZER(text).input_ids
    assert ids[-1] == TOKENIZER.eos_token_id
    assert TOKENIZER.unk_token_id not in ids
    assert TOKENIZER.decode(ids[:-1]) == text


def test_words_of_world_and_bank_are_one_token_each() -> None:
    words = {*list_words()}
    tiny = load_config(ROOT / "profiles" / "tiny.yaml").datasets.values()
    tasks = {READERS[dataset.reader].task for dataset in tiny}  # others ask no miniature
    assert len(tasks) == 12
    for template in (template for task in tasks for template in shipped_bank()[task]):
        text = template.text
        for slot in ("{images}", "{images:inline}", "{question}", "{choices}"):
            text = text.replace(slot, " ")
        words |= {word for word in text.split() if word.isalpha()}
    words.discard("please")  # of MME's fixed ending alone: pieces will do
    broken = [word for word in words if len(TOKENIZER(f"x {word}").input_ids) != 3]
    assert broken == []


def test_a_word_is_the_same_token_at_the_start_and_inside() -> None:
    assert TOKENIZER("red").input_ids[0] == TOKENIZER("a red").input_ids[1]


def test_the_shipped_tokenizer_is_the_one_its_corpus_gives() -> None:
    built = json.loads(build_tokenizer(read_corpus(CORPUS)).backend_tokenizer.to_str())  # type: ignore[attr-defined]
    shipped = json.loads((Path(locate_base("builtin:tiny")) / "tokenizer.json").read_text())
    assert built == shipped


def test_flan_t5_gets_the_ids_of_the_released_checkpoints(shared_data: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "t5_flan_t5")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})  # as the hub has it
    before = tokenizer("Use the image 0 as a visual aid.").input_ids
    tokenizer = add_mmicl_tokens(tokenizer)
    wanted = [PLACEHOLDER, *(proxy(index) for index in range(MAX_PROXIES))]
    assert tokenizer.convert_tokens_to_ids(wanted) == list(range(32100, 32121))
    assert tokenizer("Use the image 0 as a visual aid.").input_ids == before
    ids = tokenizer(f"image 0 is <image0>{PLACEHOLDER * 2}.").input_ids
    assert ids.count(32100) == 2 and ids.count(32101) == 1


@pytest.mark.parametrize("text", ["图图图 what?", "<image0>图, <image19>图."])
def test_placeholders_and_proxies_are_single_tokens(text: str) -> None:
    tokens = TOKENIZER.convert_ids_to_tokens(TOKENIZER(text).input_ids)
    for special in (PLACEHOLDER, "<image0>", "<image19>"):
        assert tokens.count(special) == text.count(special)
