"""The typed rows that travel between stages, and how they lie in Parquet.

An image is named by an *image reference*: the sha256 of its stored bytes, optionally followed by a
crop box in pixels (`<sha256>@x1,y1,x2,y2`), or `blank` for the grey picture of the controls. Crops
are never stored: they are cut when read, so a picture lies on disk once.

Inside an Example's texts, `<image:k>` refers to the Example's k-th image (0-based, counting its
`images` in order). The context scheme (`mmicl.mic`) turns it into "image j" of the prompt.
"""

from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

Split = Literal["train", "val", "test"]
RequestKind = Literal["generate", "yes_probability", "candidates"]

PLACEHOLDER = "图"
"""One per image in every prompt; the processor expands it to the model's number of queries."""
MAX_PROXIES = 20
TAGS = ("[image]", "[/image]")
"""Around each placeholder, where the scheme asks for tags: words that any language model knows."""
BLANK_IMAGE = "blank"


def proxy(index: int) -> str:
    """The proxy token of image `index` of a prompt, `<image0>` to `<image19>`."""
    return f"<image{index}>"


def place_image(tags: bool) -> str:
    """What stands in a prompt for an image's tokens."""
    return PLACEHOLDER.join(TAGS) if tags else PLACEHOLDER


class ImageBox(NamedTuple):
    """A crop in pixels: left, top, right, bottom (right and bottom exclusive)."""

    left: int
    top: int
    right: int
    bottom: int


def crop_reference(sha256: str, box: ImageBox) -> str:
    """Name a crop of a stored image."""
    return f"{sha256}@{box.left},{box.top},{box.right},{box.bottom}"


def split_reference(reference: str) -> tuple[str, ImageBox | None]:
    """The stored image's sha256 and the crop box, if any, of an image reference."""
    sha256, _, box = reference.partition("@")
    return sha256, ImageBox(*map(int, box.split(","))) if box else None


class Row(BaseModel):
    """Base of all rows: frozen, strict about unknown fields, with a fixed Parquet schema."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def schema_arrow(cls) -> pa.Schema:
        """The Parquet schema, from the annotations (str, int, float, bool, tuples of them)."""
        scalars: dict[Any, pa.DataType] = {
            str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(),
        }  # fmt: skip
        fields = []
        for name, field in cls.model_fields.items():
            kind: Any = field.annotation
            if getattr(kind, "__origin__", None) is tuple:
                arrow = pa.list_(scalars[kind.__args__[0]])
            elif getattr(kind, "__origin__", None) is Literal:
                arrow = pa.string()
            else:
                arrow = scalars[kind]
            fields.append(pa.field(name, arrow, nullable=False))
        return pa.schema(fields)


class Example(Row):
    """One record of a dataset, read from its official files, before any prompt is written.

    `id` is `<dataset>/<split>/<the record's own id>` and unique. `images` holds image references
    in order; for interconnected images (VCR) the full frame first, then one crop per object.
    `answers` are all accepted or annotated answers as the official scorer wants them (ten for
    VQA), `target` the text that training should produce. `choices` are the alternatives of a
    multiple-choice record, `answer_index` the right one (-1: none). `group` ties records that
    share an image, a pair or a puzzle: statistics resample groups, and no exemplar comes from the
    query's own group. `meta` is a JSON object of official fields that a scorer needs; its key
    `image_names`, where there is one, gives each image's plain words ("" for none).
    """

    id: str
    dataset: str
    split: Split
    task: str
    images: tuple[str, ...]
    question: str
    choices: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    answer_index: int = -1
    target: str
    group: str
    meta: str = "{}"


class Rejected(Row):
    """A record that could not be read: quarantined with its reason, and counted."""

    dataset: str
    split: str
    record: str
    file: str
    reason: str
    detail: str


class Template(Row):
    """An instruction of the bank. `text` holds each of its task's slots exactly once."""

    id: str
    task: str
    text: str
    origin: str
    licence: str
    reviewed: bool


class Sample(Row):
    """One training sample: the prompt as the model gets it, one placeholder per image.

    `images` are image references in order of appearance; `exemplars` the ids of the in-context
    examples, `source` the id of the query's Example.
    """

    id: str
    source: str
    dataset: str
    split: Split
    task: str
    images: tuple[str, ...]
    prompt: str
    target: str
    template: str
    exemplars: tuple[str, ...] = ()
    group: str


class Request(Row):
    """One question to a model.

    `item` is the benchmark item it belongs to (four requests share a Winoground item),
    `candidates` what is scored for the kinds `candidates` and `yes_probability`.
    """

    id: str
    benchmark: str
    item: str
    group: str
    kind: RequestKind
    images: tuple[str, ...]
    prompt: str
    candidates: tuple[str, ...] = ()
    target: str
    meta: str = "{}"


class Prediction(Row):
    """A model's answer to a Request: the text, and one log-likelihood per candidate."""

    request: str
    benchmark: str
    control: str
    text: str
    scores: tuple[float, ...] = ()
