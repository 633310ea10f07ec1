"""What a reader is: how official records are found, and how one becomes Examples."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from mmicl.images.decoding import ImageError
from mmicl.records import Example, Rejected
from mmicl.sources.reading import ReadContext, Record, RecordError, explain_invalid, write_plainly


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
    """

    name: str
    task: str
    files: tuple[str, ...]
    licence: str
    find: Callable[[ReadContext], Iterator[Record]]
    convert: Callable[[Record, ReadContext], Iterable[Example]]

    def read(self, context: ReadContext) -> Iterator[list[Example] | Rejected]:
        """Read a dataset: for each official record its Examples, or why there are none.

        Raises:
            DataError: A whole file cannot be read.
        """
        for record in self.find(context):
            try:
                if isinstance(record.value, RecordError):
                    raise record.value
                examples = list(self.convert(record, context))
                for example in examples:
                    _check_encodable(example)
                yield examples
            except UnicodeEncodeError:
                half = RecordError("malformed", "holds half a surrogate pair, which is no text")
                yield _reject(record, context, half)
            except ValidationError as error:
                yield _reject(record, context, explain_invalid(error))
            except RecordError as error:
                yield _reject(record, context, error)
            except ImageError as error:
                yield _reject(record, context, RecordError(error.reason, str(error)))


def _check_encodable(example: Example) -> None:
    """JSON can escape half a surrogate pair, which neither UTF-8 nor Parquet can hold."""
    texts = (example.id, example.question, example.target, example.group, example.meta)
    "".join((*texts, *example.choices, *example.answers)).encode()


def _reject(record: Record, context: ReadContext, error: RecordError) -> Rejected:
    return Rejected(
        dataset=context.dataset, split=record.split, record=record.id, file=record.file,
        reason=error.reason, detail=write_plainly(error.detail),
    )  # fmt: skip
