"""What a reader is: how official records are found, and how one becomes Examples."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from mmicl.errors import UserError
from mmicl.images.decoding import ImageError
from mmicl.records import Example, Rejected
from mmicl.sources.official import Record, RecordError, explain_invalid, write_plainly
from mmicl.sources.reading import ReadContext

FRAMES = 8
"""Of a video, as the released project's T5 data has them (NUM_FRAMES)."""


@dataclass(frozen=True)
class Page:
    """What docs/datasets.md says of a dataset beside what the reader itself declares.

    Attributes:
        title: The dataset's own name.
        category: MMICL's category: image captioning, knowledge QA, image QA, …
        use: What MMICL does with it: `stage I`, `train`, `test`, or several of them.
        url: Where its makers publish it.
        records: How many official records to expect, per split, as its makers count them.
        makes: What is turned into what, in one sentence.
    """

    title: str
    category: str
    use: str
    url: str
    records: str
    makes: str


@dataclass(frozen=True)
class Reader:
    """One dataset's reader.

    Attributes:
        name: The key in `mmicl.sources.READERS` and in params (`datasets.*.reader`).
        task: The task of its Examples, a key of the instruction bank.
        files: The official files it reads, as a person would name them.
        licence: The official release's licence, in a few words.
        find: Yields the official records, unchecked, in the files' order.
        convert: Turns one record into Examples (train captions: several); raises RecordError,
            ImageError or pydantic's ValidationError for a record that cannot be used.
        page: What the list of datasets says of it.
        roles: Role -> official file, or folder with a slash behind it, that `--file role=path` may
            name otherwise. A reader without roles finds its files wherever they lie.
        named: Official file or folder -> where it lies, for the roles that were named otherwise.
        frames: Frames of each video (`mmicl.images.video.sample_times`); None without videos.
    """

    name: str
    task: str
    files: tuple[str, ...]
    licence: str
    find: Callable[[ReadContext], Iterator[Record]]
    convert: Callable[[Record, ReadContext], Iterable[Example]]
    page: Page
    roles: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    frames: int | None = None

    def read(self, context: ReadContext) -> Iterator[list[Example] | Rejected]:
        """Read a dataset: for each official record its Examples, or why there are none.

        Raises:
            DataError: A whole file cannot be read.
        """
        for record in self.find(context):
            yield self.read_record(record, context)

    def read_record(self, record: Record, context: ReadContext) -> list[Example] | Rejected:
        """The Examples of one record, or why there are none."""
        try:
            if isinstance(record.value, RecordError):
                raise record.value
            examples = list(self.convert(record, context))
            for example in examples:
                _check_encodable(example)
            return examples
        except UnicodeEncodeError:
            half = RecordError("malformed", "holds half a surrogate pair, which is no text")
            return _reject(record, context, half)
        except ValidationError as error:
            return _reject(record, context, explain_invalid(error))
        except RecordError as error:
            return _reject(record, context, error)
        except ImageError as error:
            return _reject(record, context, RecordError(error.reason, str(error)))


def name_files(reader: Reader, files: Mapping[str, str], where: str = "--file") -> Reader:
    """A reader that finds the files of some roles where `files` (role -> path) says.

    Raises:
        UserError: The reader has no such role; names those that it has, and `where` it was asked.
    """
    for role in files:
        if role not in reader.roles:
            known = f"roles are {', '.join(reader.roles)}" if reader.roles else "it has no roles"
            raise UserError(f"{reader.name} has no role {role}", where=where, remedy=known)
    return replace(reader, named={reader.roles[role]: path for role, path in files.items()})


def set_frames(reader: Reader, frames: int | None, where: str = "--frames") -> Reader:
    """A reader that takes so many frames of each video; None leaves its own number.

    Raises:
        UserError: It reads no videos, or the number is below 1; `where` it was asked.
    """
    if frames is None:
        return reader
    if reader.frames is None:
        raise UserError(f"{reader.name} reads no videos", where=where, remedy="leave it out")
    if frames < 1:
        raise UserError(f"{frames} frames of a video", where=where, remedy="1 or more")
    return replace(reader, frames=frames)


def _check_encodable(example: Example) -> None:
    """JSON can escape half a surrogate pair, which neither UTF-8 nor Parquet can hold."""
    texts = (example.id, example.question, example.target, example.group, example.meta)
    "".join((*texts, *example.choices, *example.answers)).encode()


def _reject(record: Record, context: ReadContext, error: RecordError) -> Rejected:
    return Rejected(
        dataset=context.dataset, split=record.split, record=record.id, file=record.file,
        reason=error.reason, detail=write_plainly(error.detail),
    )  # fmt: skip
