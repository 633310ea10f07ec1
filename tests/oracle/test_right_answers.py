"""Where no official score is at hand: real references, given as predictions, score full marks."""

import csv
import json
from pathlib import Path

import pytest

from mmicl.benchmarks.score import score_files
from mmicl.benchmarks.scorers import websrc

pytestmark = pytest.mark.oracle


def test_websrc_on_real_pages(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "websrc"
    texts, tags = {}, {}
    for path in folder.glob("*/*/dataset.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                page = path.parent / "processed_data" / f"{row['id'][2:9]}.html"
                count = len(websrc.read_tree(page.read_text(encoding="utf-8")))
                tag = int(row["element_id"])
                texts[row["id"]] = row["answer"]
                tags[row["id"]] = [tag if tag >= 0 else count + int(row["answer_start"])]
    (tmp_path / "predictions_.json").write_text(json.dumps(texts))
    (tmp_path / "tag_predictions_.json").write_text(json.dumps(tags))
    scored = score_files("websrc", tmp_path, folder)
    assert scored["n"] == len(texts) >= 20
    assert {scored["metrics"][name] for name in ("exact", "f1", "pos")} == {100.0}
    tags = {key: [value + 1 for value in values] for key, values in tags.items()}
    (tmp_path / "tag_predictions_.json").write_text(json.dumps(tags))
    assert 20 < score_files("websrc", tmp_path, folder)["metrics"]["pos"] < 95


@pytest.mark.parametrize(
    ("name", "file", "key"),
    [("msvd_qa", "msvd_qa/val.csv", "qid"), ("msrvtt_qa", "msrvtt_qa/val_qa.json", "id")],
)
def test_video_qa_on_real_questions(
    shared_data: Path, tmp_path: Path, name: str, file: str, key: str
) -> None:
    text = (shared_data / file).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines())) if key == "qid" else json.loads(text)
    predictions = tmp_path / "prediction.json"
    answers = [{"id": int(row[key]), "answer": row["answer"]} for row in rows]
    predictions.write_text(json.dumps(answers))
    scored = score_files(name, predictions, shared_data / file)
    assert scored["n"] == len(rows) > 6000
    assert set(scored["metrics"].values()) == {1.0}
    assert {"acc", "what", "who"} <= set(scored["metrics"])
