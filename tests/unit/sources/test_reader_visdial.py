"""VisDial: rounds with their candidates, and the dense annotations of some."""

import json
from typing import Any


def dialog(image: int, *rounds: dict[str, Any]) -> dict[str, Any]:
    return {"image_id": image, "caption": "a dog on a beach", "dialog": list(rounds)}


def test_visdial_rounds_and_their_candidates(official, ingest, paint) -> None:
    data = {
        "questions": ["what color is it", "is it big"],
        "answers": ["brown", "yes", "no", "图"],
        "dialogs": [
            dialog(
                5,
                {"question": 0, "answer": 0, "answer_options": [2, 0, 1], "gt_index": 1},
                {"question": 1, "answer": 1, "answer_options": [1, 2], "gt_index": 0},
            ),
            dialog(6, {"question": 0, "answer": 0, "answer_options": [2, 0], "gt_index": 0}),
            dialog(7, {"question": 9, "answer": 0}),
            dialog(8, {"question": 0, "answer": 3}),
            dialog(9),
            dialog(10, {"question": 0, "answer": 0}),
        ],
    }
    hidden = {**data, "dialogs": [dialog(1, {"question": 0, "answer_options": [1]})]}
    folder = official(
        {"visdial_1.0_val.json": {"data": data}, "visdial_1.0_test.json": {"data": hidden}}
    )
    names = [f"VisualDialog_val2018/VisualDialog_val2018_{n:012d}.jpg" for n in (5, 6, 7, 8)]
    paint(folder, *names)
    result = ingest("visdial", folder, limit=0.9)
    first, second = result.examples
    assert first.question == "a dog on a beach. what color is it?"
    assert second.question == "a dog on a beach. what color is it? brown. is it big?"
    assert (first.choices, first.answer_index) == (("no", "brown", "yes"), 1)
    assert first.target == "brown"
    assert result.reasons == {
        "6": "malformed", "7": "malformed", "8": "reserved_token", "9": "malformed",
        "10": "missing_image",
    }  # fmt: skip
    assert result.manifest["unused"] == {"dialogues of test without public answers": 1}


def test_visdial_dense_annotations_are_of_their_round(official, ingest, paint) -> None:
    rounds = [{"question": 0, "answer": 0, "answer_options": [1, 0], "gt_index": 1}] * 2
    data = {
        "questions": ["what color is it"], "answers": ["brown", "red"],
        "dialogs": [dialog(image, *rounds) for image in (5, 6, 7)],
    }  # fmt: skip
    dense: list[object] = [
        {"image_id": 5, "round_id": 2, "gt_relevance": [0.5, 1]},
        {"image_id": 6, "round_id": 1, "gt_relevance": [1.0]},
        {"image_id": 7, "round_id": 1, "gt_relevance": [0.0, 0.0]},
        {"image_id": 5, "round_id": 3, "gt_relevance": [0.5, 1.0]},
        {"image_id": []},
        7,
    ]
    folder = official({"visdial_1.0_val.json": {"data": data}, "mine.json": dense})
    paint(folder, *(f"VisualDialog_val2018/VisualDialog_val2018_{n:012d}.jpg" for n in (5, 6, 7)))
    result = ingest("visdial", folder, limit=0.8, files={"val_dense": "mine.json"})
    assert [json.loads(row.meta).get("relevance") for row in result.examples] == [None, [0.5, 1.0]]
    assert result.reasons == {"6": "malformed", "7": "malformed"}
    assert result.manifest["unused"] == {"dense annotations without a round": 3}
    bare = ingest("visdial", folder, out="bare")
    assert len(bare.examples) == 6
    assert all("relevance" not in row.meta for row in bare.examples)
