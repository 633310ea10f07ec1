"""Untrusted paraphrases: what may enter the bank, and the reason why the rest may not."""

import itertools
import json

import pytest

from mmicl.augment.bank import shipped_bank
from mmicl.augment.checks import Drop, are_alike, find_reason, read_answer, sift
from mmicl.augment.replies import Reply
from mmicl.records import Template


def make_parent(text: str, task: str = "vqa") -> Template:
    return Template(id=f"{task}-00", task=task, text=text, origin="o", licence="l", reviewed=True)


BLOCK = make_parent("{images} Question: {question} Answer:")
YES_NO = make_parent("{images} {question} Yes or No. Answer:", "pope")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{images} Please reply to this: {question}", None),
        ("{question} — that’s what the pictures, {images} tell (or don’t).", None),
        ("", "empty"),
        ("  \n", "empty"),
        ("{images} {question} " + "very " * 60, "more than 300 characters"),
        ("{images} 图 {question} Reply:", "placeholder or proxy"),
        ("{images} <image3> {question} Reply:", "placeholder or proxy"),
        ("{images} [IMG0] {question} Reply:", "character not allowed"),
        ("{images} Look at image 0. {question}", "character not allowed"),
        ("{images} Look at picture 2. {question}", "character not allowed"),
        ("{images} {question} Visit https://a.b/c", "address"),
        ("{images} {question} Visit www.example.de", "address"),
        ("{images} {question} Write to me@example", "address"),
        ("{images} {question} Or ask Example.com, please", "address"),
        ("{images} {question}\nReply:", "character not allowed"),
        ("{images} {question}\x1b[2J Reply:", "character not allowed"),
        ("{images} {question}\u202e Reply:", "character not allowed"),
        ("{images} {question} **Reply**:", "character not allowed"),
        ("{images} {question} Аnswer:", "character not allowed"),
        ("{images} {question Reply:", "braces do not match"),
        ("{images} {question} {} Reply:", "invented slot"),
        ("{images} {question!r} Reply:", "braces do not match"),
        ("{images} {question} {choices} Reply:", "invented slot"),
        ("{images} {question.text} Reply:", "invented slot"),
        ("{images} Reply:", "slot missing"),
        ("{images} {images} {question} Reply:", "slot repeated"),
        ("See {images:inline}. {question} Reply:", "slot of another form"),
        ("{images} {question:s} Reply:", "slot of another form"),
        ("{images} {question}?", "no words"),
        ("{images} {question} Reply with yes or no:", "other answer words"),
        (" {images} {question} Reply:", "bank: empty, or blanks at an end"),
    ],
)
def test_each_fault_has_its_reason(text: str, reason: str | None) -> None:
    assert find_reason(text, BLOCK) == reason


def test_words_that_name_the_answers_stay() -> None:
    assert find_reason("{images} {question} Say yes, or say no.", YES_NO) is None
    for text in ("{images} {question} True or false?", "{images} {question} Answer:"):
        assert find_reason(text, YES_NO) == "other answer words"


def test_instructions_by_hand_are_sound_and_unlike_one_another() -> None:
    for templates in shipped_bank().values():
        for template in templates:
            assert find_reason(template.text, template) is None
        for one, other in itertools.combinations(templates, 2):
            assert not are_alike(one.text, other.text), (one.id, other.id)


def test_near_duplicates_are_told_by_words_not_by_case_or_punctuation() -> None:
    text = "{images} Look at the picture with care and then answer this: {question}"
    assert are_alike(text, text.upper().replace("{IMAGES}", "{images}").replace(":", "!"))
    assert are_alike(text, text.replace("this", "it"))
    assert are_alike(text, text) == are_alike(text.replace("this", "it"), text) is True
    assert not are_alike(BLOCK.text, "Question: {question} {images} Answer:")
    assert not are_alike(text, "{images} Answer after a careful look: {question}")


def test_sifting_drops_near_duplicates_of_the_bank_and_of_one_another_and_what_is_too_many() -> (
    None
):
    texts = [
        "{images} question: {question} answer!",
        "{images} Please reply to this one: {question}",
        "{images} please reply to this one. {question}",
        "{images} {question}",
        "{images} Go on, tell us. {question}",
        "{images} What would you say? {question}",
    ]
    taken, drops = sift(BLOCK, texts, [BLOCK.text], limit=5)
    assert taken == [texts[1], texts[4]]
    assert drops == [
        Drop("vqa-00", "near-duplicate", texts[0]),
        Drop("vqa-00", "near-duplicate", texts[2]),
        Drop("vqa-00", "no words", texts[3]),
        Drop("vqa-00", "more than asked for", texts[5]),
    ]


def make_reply(text: str | None, finish: str = "stop") -> Reply:
    return Reply(model="m", text=text, finish=finish, input_tokens=1, output_tokens=1)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (make_reply(None), "answer: refused"),
        (make_reply('{"paraphrases": ["a"]}', "length"), "answer: cut off"),
        (make_reply("no"), "answer: not of the schema"),
        (make_reply('["a"]'), "answer: not of the schema"),
        (make_reply('{"paraphrases": "a"}'), "answer: not of the schema"),
        (make_reply("[" * 100_000), "answer: not of the schema"),
    ],
)
def test_an_answer_without_texts_says_why(reply: Reply, reason: str) -> None:
    assert read_answer(reply) == ([], reason)


def test_an_answer_of_the_schema_is_read() -> None:
    assert read_answer(make_reply(json.dumps({"paraphrases": ["a", "b"]}))) == (["a", "b"], None)
