"""WikiArt in ArtGAN's split: an artwork's genre, artist and style.

Official `wikiart_csv/{artist,style,genre}_{train,val}.csv`, lines `path,number` without a header,
and `{artist,style,genre}_class.txt`, lines `number name`. Taken is what is in all three lists.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from mmicl.errors import DataError
from mmicl.files import hash_file
from mmicl.records import Example, Split
from mmicl.sources.official import Record, RecordError, write_plainly
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext
from mmicl.sources.texts import check_plain

FILES: dict[str, Split] = {"train": "train", "val": "val"}
KINDS = ("genre", "artist", "style")
QUESTION = "What genre is this artwork of, who made it, and in which style?"


def find_artworks(context: ReadContext) -> Iterator[Record]:
    """Every artwork that has a genre, an artist and a style; a value is the three names."""
    for name, split in FILES.items():
        paths = [context.find(*_places(f"{kind}_{name}.csv")) for kind in KINDS]
        if not all(paths):
            continue
        numbers = [read_numbers(context, path) for path in paths if path]
        names = [read_names(context, kind) for kind in KINDS]
        shared = [place for place in numbers[0] if all(place in other for other in numbers)]
        if lone := len(set().union(*numbers)) - len(shared):
            context.unused["artworks without a genre, an artist or a style"] += lone
        file = context.name(paths[0]) if paths[0] else ""
        for place in shared:
            keys = [table[place] for table in numbers]
            value = (place, [known.get(key) for known, key in zip(names, keys, strict=True)])
            yield Record(split, write_plainly(place), file, value)


def _places(file: str) -> tuple[str, str]:
    return (file, f"wikiart_csv/{file}")


def _read_lines(context: ReadContext, path: Path) -> list[str]:
    """The lines of a list.

    Raises:
        DataError: It is not UTF-8.
    """
    context.sources[context.name(path)] = hash_file(path)
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        where = f"{context.dataset}: {context.name(path)}"
        raise DataError(f"not UTF-8 ({error})", where=where) from None


def read_numbers(context: ReadContext, path: Path) -> dict[str, str]:
    """The class number of each artwork, as text, by its path; a header is passed over.

    Raises:
        DataError: It is not UTF-8, or a line is not a path and a number.
    """
    numbers = {}
    for line, row in enumerate(csv.reader(_read_lines(context, path)), start=1):
        if len(row) == 2 and row[1].strip().isdecimal():
            numbers[row[0]] = row[1].strip()
        elif row and line > 1:
            where = f"{context.dataset}: {context.name(path)}"
            raise DataError(f"line {line} is not a path and a number", where=where)
    return numbers


def read_names(context: ReadContext, kind: str) -> dict[str, str]:
    """The names of a kind's classes by their numbers, underscores as blanks.

    Raises:
        DataError: There is no such list, or it is not UTF-8.
    """
    file = f"{kind}_class.txt"
    path = context.find(*_places(file))
    if path is None:
        where = f"dataset {context.dataset}"
        raise DataError(f"no {file}", where=where, remedy="put it beside the csv files")
    pairs = (line.strip().partition(" ") for line in _read_lines(context, path))
    return {number: name.replace("_", " ") for number, _, name in pairs if name}


def convert_artwork(record: Record, context: ReadContext) -> Iterator[Example]:
    """One artwork and a phrase with its genre, artist and style."""
    place, names = record.value
    if None in names:
        raise RecordError("unknown_class", f"no name for the {KINDS[names.index(None)]}")
    genre, artist, style = (check_plain(name) for name in names)
    image = context.image(f"wikiart/{place}", place, f"images/{place}")
    target = f"{genre} by {artist} in the style of {style}"
    yield context.example(
        record.split, record.id, task="vqa", images=(image,), question=QUESTION,
        answers=(target,), target=target, group=f"wikiart-{image[:16]}",
        meta={"path": place, "genre": genre, "artist": artist, "style": style},
    )  # fmt: skip


WIKIART = Reader(
    name="wikiart",
    task="vqa",
    files=(
        "wikiart_csv/{artist,style,genre}_{train,val}.csv",
        "wikiart_csv/{artist,style,genre}_class.txt",
        "wikiart/<style>/*.jpg",
    ),
    licence="pictures from wikiart.org, non-commercial research only",
    find=find_artworks,
    convert=convert_artwork,
    page=Page(
        title="WikiArt (ArtGAN)",
        category="image QA",
        use="train",
        url="https://github.com/cs-chan/ArtGAN/tree/master/WikiArt%20Dataset",
        records="81,446 artworks in all: 64,993 with a genre, 19,052 with an artist",
        makes="an artwork and the question for genre, artist and style; a phrase with the three",
    ),
    roles={
        **{f"{name}_{kind}": f"{kind}_{name}.csv" for name in FILES for kind in KINDS},
        **{f"{kind}_names": f"{kind}_class.txt" for kind in KINDS},
        "images": "wikiart/",
    },
)
