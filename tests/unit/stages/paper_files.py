"""Official files of all that the full-size profiles train on, a handful of records each.

What they are tested with is in `benchmark_files.py`.
"""

import hashlib
import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from benchmark_files import SHOTS, write_test_files
from PIL import Image

from mmicl.world import generate
from mmicl.world.writers.msrvtt_qa import save_video

WORLD = ("coco", "vqav2", "vcr", "nlvr2", "msrvtt_qa", "pope", "raven", "winoground", "mme")
"""Those that the world writes; the others are by hand, from their makers' descriptions."""
HIDDEN = (
    "coco/annotations/captions_test2017.json",
    "vcr/test.jsonl",
    "vqav2/v2_OpenEnded_mscoco_test2014_questions.json",
    "vqav2/v2_mscoco_test2014_annotations.json",
)
"""What the world writes of tests whose answers the makers keep back."""
WEB = ("cc3m", "cc12m", "sbu", "laion400m")
N = 6


def write_official_files(data: Path) -> None:
    """One folder a dataset, as `alias://DATA/NAME` finds them."""
    for name in WORLD:
        generate(name, {"n": 12, "seed": len(name)}, data / name)
    for place in HIDDEN:
        (data / place).unlink()
    photos, tested = (
        sorted(int(path.stem) for path in (data / "coco" / folder).iterdir())[:N]
        for folder in ("train2017", "val2017")
    )
    for name, files in {
        "flickr30k": write_flickr30k(),
        "diffusiondb": write_diffusiondb(),
        "okvqa": write_okvqa(photos, "train") | write_okvqa(tested, "val"),
        "stvqa": write_stvqa(),
        "textvqa": write_textvqa(),
        "wikiart": write_wikiart(),
        "refcoco": write_refcoco(photos),
        "gqa": write_gqa(),
        "visual_genome": write_visual_genome(),
        "mini_imagenet": write_mini_imagenet(),
        "llava": write_llava(photos),
        "msrvtt": write_msrvtt(),
    }.items():
        for place, value in files.items():
            path = data / name / place
            path.parent.mkdir(parents=True, exist_ok=True)
            if value is None:
                path.write_bytes(paint(f"{name}/{place}"))
            elif isinstance(value, bytes):
                path.write_bytes(value)
            else:
                path.write_text(value if isinstance(value, str) else json.dumps(value))
    for number in range(N):
        frames = [Image.new("RGB", (32, 32), (40 * number, 20 * k, 9)) for k in range(6)]
        (data / "msrvtt" / "videos").mkdir(exist_ok=True)
        save_video(frames, data / "msrvtt" / "videos" / f"video{number}.mp4")
    for name in WEB:
        write_shard(data / name, name)
    write_test_files(data, tested)


def paint(name: str) -> bytes:
    """A small picture of a colour of its own."""
    shade, stream = hashlib.sha256(name.encode()).digest(), io.BytesIO()
    image = Image.new("RGB", (24, 24), (shade[0], shade[1], shade[2]))
    image.save(stream, "PNG" if name.endswith("png") else "JPEG")
    return stream.getvalue()


def write_flickr30k() -> dict[str, Any]:
    splits = ["val", "test", *["train"] * SHOTS]
    images = [
        {"filename": f"{n}.jpg", "split": split, "imgid": n,
         "sentences": [{"raw": f"caption {k} of {n}", "sentid": 5 * n + k} for k in range(5)]}
        for n, split in enumerate(splits)
    ]  # fmt: skip
    pictures = dict.fromkeys(f"flickr30k-images/{n}.jpg" for n in range(len(images)))
    return {"dataset_flickr30k.json": {"images": images}, **pictures}


def write_diffusiondb() -> dict[str, Any]:
    part = {f"{n}.png": {"p": f"a fox number {n}, 4k", "se": n} for n in range(N)}
    return {"part-000001/part-000001.json": part, **{f"part-000001/{name}": None for name in part}}


def write_okvqa(photos: list[int], split: str) -> dict[str, Any]:
    asked = [
        {"question_id": n, "image_id": photo, "question": f"What is thing {n} for?"}
        for n, photo in enumerate(photos)
    ]
    answers = [{"answer": "rain", "answer_id": k} for k in range(10)]
    given = [{**{k: row[k] for k in ("question_id", "image_id")}, "answers": answers}
             for row in asked]  # fmt: skip
    return {
        f"OpenEnded_mscoco_{split}2014_questions.json": {"questions": asked},
        f"mscoco_{split}2014_annotations.json": {"annotations": given},
    }


def write_stvqa() -> dict[str, Any]:
    """Of so many some are dealt out for testing."""
    places = [f"icdar/{n}.jpg" for n in range(5 * N)]
    asked = [
        {"question_id": n, "question": f"What does sign {n} say?", "file_path": place,
         "answers": ["exit", "exit"]}
        for n, place in enumerate(places)
    ]  # fmt: skip
    return {"train_task_3.json": {"data": asked}, **{f"images/{place}": None for place in places}}


def write_textvqa() -> dict[str, Any]:
    asked = [
        {"question_id": n, "image_id": f"photo{n}", "question": f"Which brand is {n}?",
         "answers": ["nike"] * 10}
        for n in range(N)
    ]  # fmt: skip
    pictures = dict.fromkeys(f"train_images/photo{n}.jpg" for n in range(N))
    return {"TextVQA_0.5.1_train.json": {"data": asked}, **pictures}


def write_wikiart() -> dict[str, Any]:
    names = [f"Realism/{n}.jpg" for n in range(N)]
    lists = {
        kind: "".join(f"{name},0\n" for name in names) for kind in ("genre", "artist", "style")
    }
    return {
        **{f"wikiart_csv/{kind}_train.csv": text for kind, text in lists.items()},
        "wikiart_csv/genre_class.txt": "0 landscape\n",
        "wikiart_csv/artist_class.txt": "0 Vincent_van_Gogh\n",
        "wikiart_csv/style_class.txt": "0 Realism\n",
        **{f"wikiart/{name}": None for name in names},
    }


def write_refcoco(photos: list[int]) -> dict[str, Any]:
    boxes = [{"id": n, "image_id": photo, "bbox": [2, 2, 12, 10]} for n, photo in enumerate(photos)]
    references = [
        {"ref_id": n, "ann_id": n, "image_id": photo, "split": "train",
         "file_name": f"COCO_train2014_{photo:012d}_{n}.jpg",
         "sentences": [{"sent_id": n, "sent": f"the thing {n}"}]}
        for n, photo in enumerate(photos)
    ]  # fmt: skip
    pickled = pickle.dumps(references, protocol=2)
    return {"instances.json": {"annotations": boxes}, "refs(unc).p": pickled}


def write_visual_genome() -> dict[str, Any]:
    pictures = [
        {"id": n, "regions": [{"region_id": 10 * n, "image_id": n, "phrase": f"phrase {n}",
                               "x": 1, "y": 2, "width": 12, "height": 12}]}
        for n in range(N)
    ]  # fmt: skip
    return {"region_descriptions.json": pictures, **{f"VG_100K/{n}.jpg": None for n in range(N)}}


def write_gqa() -> dict[str, Any]:
    """Of Visual Genome's pictures, which are borrowed."""
    asked = {
        f"{n:03d}": {"imageId": str(n), "question": f"Is thing {n} red?", "answer": "no",
                     "fullAnswer": "No.", "isBalanced": True}
        for n in range(N)
    }  # fmt: skip
    return {"train_balanced_questions.json": asked}


def write_mini_imagenet() -> dict[str, Any]:
    names = [f"n0144353700{n}.jpg" for n in range(N)]
    return {
        "train.csv": "filename,label\n" + "".join(f"{name},n01443537\n" for name in names),
        "LOC_synset_mapping.txt": "n01443537 goldfish, Carassius auratus\n",
        **{f"images/{name}": None for name in names},
    }


def write_llava(photos: list[int]) -> dict[str, Any]:
    turns = [("human", "<image>\nWhat is it?"), ("gpt", "A cat."), ("human", "Which colour?"),
             ("gpt", "It is grey.")]  # fmt: skip
    said = [{"from": who, "value": text} for who, text in turns]
    talks = [
        {"id": f"{photo:012d}", "image": f"{photo:012d}.jpg", "conversations": said}
        for photo in photos
    ]
    return {"llava_instruct_150k.json": talks}


def write_msrvtt() -> dict[str, Any]:
    videos = [{"video_id": f"video{n}", "split": "train"} for n in range(N)]
    sentences = [
        {"sen_id": n, "video_id": f"video{n}", "caption": f"a man sings song {n}"} for n in range(N)
    ]
    return {"train_val_videodatainfo.json": {"videos": videos, "sentences": sentences}}


def write_shard(folder: Path, name: str) -> None:
    """A shard as img2dataset writes it."""
    folder.mkdir(parents=True)
    data = [paint(f"{name}{n}.jpg") for n in range(N)]
    rows = [
        {"url": f"https://example.org/{n}", "key": f"{n:09d}", "caption": f"text {n} of the web",
         "status": "success", "sha256": hashlib.sha256(one).hexdigest()}
        for n, one in enumerate(data)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    with tarfile.open(folder / "00000.tar", "w") as archive:
        for n, one in enumerate(data):
            member = tarfile.TarInfo(f"{n:09d}.jpg")
            member.size = len(one)
            archive.addfile(member, io.BytesIO(one))
