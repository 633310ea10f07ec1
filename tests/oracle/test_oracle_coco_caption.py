"""Captions against pycocoevalcap with Java: scores, every image, every token."""

import importlib.util
import json
import random
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmicl.benchmarks.score import score_files
from mmicl.benchmarks.scorers import caption
from mmicl.benchmarks.scorers.ptb import tokenize_captions

pytestmark = pytest.mark.oracle
NAMES = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr")
DROPPED = {
    "''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--",
    "...", ";",
}  # fmt: skip


def test_captions_equal_pycocoevalcap(shared_data: Path) -> None:
    folder = shared_data / "caption_eval"
    expected = json.loads((folder / "expected_pycocoevalcap_1.2.json").read_text())
    scored = score_files(
        "coco_caption",
        folder / "captions_vinvl_results.json",
        folder / "captions_refs.json",
        per_item=True,
    )
    assert scored["n"] == expected["scores"]["n_images"]
    java = shutil.which("java") is not None
    for name in (*NAMES, "METEOR") if java else NAMES:
        assert scored["metrics"][name] == expected["scores"][name], name
        values = [scored["per_item"][str(key)][name] for key in expected["image_ids"]]
        assert values == expected["per_image"][name], name
    needs = scored["metrics"]["not_computed"]
    assert set(needs) == ({"SPICE"} if java else {"METEOR", "SPICE"})


def test_without_java_meteor_says_what_it_needs(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    folder = shared_data / "caption_eval"
    files = (folder / "captions_vinvl_results.json", folder / "captions_refs.json")
    metrics = score_files("coco_caption", *files)["metrics"]
    assert "METEOR" not in metrics
    assert metrics["not_computed"]["METEOR"].startswith("needs Java 1.8")
    assert set(NAMES) <= set(metrics)


def test_tokens_equal_the_official_tokenizer(shared_data: Path) -> None:
    folder = shared_data / "caption_eval"
    expected = json.loads((folder / "expected_pycocoevalcap_1.2.json").read_text())
    references = defaultdict(list)
    for entry in json.loads((folder / "captions_refs.json").read_text())["annotations"]:
        references[entry["image_id"]].append(entry["caption"])
    for key in expected["image_ids"]:
        assert tokenize_captions(references[key]) == expected["tokenized_refs"][str(key)]
    results = json.loads((folder / "captions_vinvl_results.json").read_text())
    for entry in results:
        tokens = tokenize_captions([entry["caption"]])
        assert tokens == expected["tokenized_res"][str(entry["image_id"])]


def test_captions_equal_the_scores_that_clipscore_documents(shared_data: Path) -> None:
    folder = shared_data / "caption_eval" / "clipscore_example"
    references = json.loads((folder / "refs.json").read_text())
    documented = json.loads((folder / "expected_documented.json").read_text())
    for kind in ("good_captions", "bad_captions"):
        answers = json.loads((folder / f"{kind}.json").read_text())
        scores = caption.score([answers[key] for key in references], list(references.values()))
        wanted = dict(zip(documented["order"], documented[kind], strict=True))
        for name, value in wanted.items():
            ours = "ROUGE_L" if name == "ROUGE" else name.replace("BLEU-", "Bleu_")
            if ours != "METEOR":  # its Java takes seconds; it is compared above, to every digit
                assert round(scores.overall[ours], 4) == value, (kind, name)


def test_tokenizer_beside_java_on_real_sentences(shared_data: Path, tmp_path: Path) -> None:
    """The original Stanford tokenizer over some 30,000 captions, questions and sentences."""
    lines = list(real_lines(shared_data))
    assert len(lines) > 20_000
    assert first_difference(lines, tmp_path) is None


def test_tokenizer_beside_java_on_made_up_text(tmp_path: Path) -> None:
    """Words, abbreviations, numbers and signs thrown together, some without a blank between."""
    draw = random.Random(20)
    lines = []
    for _ in range(4000):
        words = [draw.choice(PIECES) for _ in range(draw.randint(1, 9))]
        glued = (word + draw.choice(["", *PIECES]) * (draw.random() < 0.1) for word in words)
        lines.append(" ".join(word.upper() if draw.random() < 0.05 else word for word in glued))
    assert first_difference(lines, tmp_path) is None


def real_lines(folder: Path) -> Iterator[str]:
    for name in ("nlvr1/dev.json", "nlvr2/dev.json"):
        for line in (folder / name).read_text().splitlines():
            yield json.loads(line)["sentence"]
    for entry in json.loads((folder / "coco_photos/annotations/captions.json").read_text())[
        "annotations"
    ]:
        yield entry["caption"]
    for name in ("textvqa", "vizwiz"):
        questions = json.loads((folder / name / "val_questions_vqa_format.json").read_text())
        yield from (entry["question"] for entry in questions["questions"])
        answers = json.loads((folder / name / "made_results_decorated_annotator.json").read_text())
        yield from (entry["answer"] for entry in answers)
    questions = json.loads(
        (folder / "okvqa" / "OpenEnded_mscoco_train2014_questions.json").read_text()
    )
    yield from (entry["question"] for entry in questions["questions"])


def first_difference(lines: list[str], folder: Path) -> tuple[str, str, str] | None:
    """The first line that Java reads otherwise: the line, Java's tokens, ours."""
    lines = [" ".join(line.splitlines()) for line in lines]
    for line, theirs, ours in zip(
        lines, tokenize_with_java(lines, folder), tokenize_captions(lines), strict=True
    ):
        if theirs != ours:
            return line, theirs, ours
    return None


def tokenize_with_java(lines: list[str], folder: Path) -> list[str]:
    """What PTBTokenizer of pycocoevalcap does; skips where there is no Java."""
    java, package = shutil.which("java"), importlib.util.find_spec("pycocoevalcap")
    locations = package.submodule_search_locations if package else None
    jars = [
        path for place in locations or [] for path in Path(place).glob("tokenizer/*corenlp*.jar")
    ]
    if not java or not jars:
        pytest.skip("no Java, or no Stanford tokenizer beside pycocoevalcap")
    path = folder / "lines.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    main = "edu.stanford.nlp.process.PTBTokenizer"
    command = [java, "-Dfile.encoding=UTF-8", "-cp", str(jars[0]), main]
    result = subprocess.run(
        [*command, "-preserveLines", "-lowerCase", str(path)], capture_output=True, check=True
    )
    found = result.stdout.decode().split("\n")[: len(lines)]
    found += [""] * (len(lines) - len(found))
    return [" ".join(w for w in line.rstrip().split(" ") if w not in DROPPED) for line in found]


WORDS = """
a an the cat dog man man's It's don't can't cannot gonna wanna U.S. U.S Mr. Mrs. etc. Jan. co. St.
Ave. vs. no. p.m. 3:30 1/2 1 2 10,000 3.5 -5 +3 50% $5 #1 @home
t-shirt Jack-o-lantern o'clock y'all 'twas 'tis rock'n'roll 'n' '90s ma'am I I'm she'll they've B.
A. T. TV AT&T R&B Q&A C++ c# ... .. . .... ! !! ?! , ; : - -- --- ---- ----- _ __ * ** ( ) [ ] { } <
> << >> / \\ | ~ ^ & &amp; = + " ' '' ` `` “ ” ‘ ’ – — … ½ £ € ¢ © ² é café naïve :) :-) ;D 555-1234
file.jpg a.jpg one.two end.The hello!World fig. 3 figs. pp. 12 Ph.D. Ph.D a.k.a. cont'd c'mon
l'oreal d'or Cap'n Inc. Ltd. pty. ltd ca. 1900 USA U.K. U.S.-U.K. non-U.S. multi-colored
over-the-top well-known, and/or his/her 12/25/2014 2014-01-02 'em 'till 'cause n't shouldn't isn't
He The A An In It This men's boys' dogs. cats, end. x, y. z (555)123-4567 555.123.4567
"""
PIECES = WORDS.split()
