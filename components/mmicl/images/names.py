"""Pictures by the names of their official files: what one dataset lends to another.

Many datasets ask about the photos of one collection (COCO 2014 serves captions, VQAv2, OK-VQA,
RefCOCO, LLaVA and POPE). One of them stores the pictures; the others name it in `pictures` of
params.yaml, and neither check nor store again what it has. Frames of videos are lent likewise
(MSR-VTT to MSRVTT-QA), to a dataset that takes as many of each.
"""

from pathlib import Path, PurePosixPath

from mmicl.errors import DataError
from mmicl.files import open_rows
from mmicl.images.look import PictureRow

NAMES = "names.parquet"
"""The table of `NamedPicture`s beside the shards of a dataset that stores its pictures itself."""


class NamedPicture(PictureRow):
    """A stored picture and the path of its official file within the dataset, or `name_frame`."""

    name: str


def name_frame(video: str, number: int, count: int) -> str:
    """What frame 1 to `count` of an official video goes by, if so many are taken of it."""
    return f"{video}#{number}of{count}"


class Lender:
    """The pictures that another dataset has stored.

    A picture is found by its path, or by its file name alone: datasets name the folder otherwise
    (`train2014/`, `images/`), and some leave it out. A file name that stands for two different
    pictures finds none.

    Args:
        folder: The shards of the dataset that lends, with their NAMES.

    Raises:
        DataError: The folder has no such table.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / NAMES).is_file():
            message, remedy = "lends no pictures: it has no table of names", "ingest it again"
            raise DataError(message, where=folder, remedy=remedy)
        self.name = folder.name
        self._paths: dict[str, PictureRow] = {}
        self._files: dict[str, PictureRow | None] = {}
        self._keys: set[str] = set()
        for row in open_rows(folder / NAMES, NamedPicture):
            self._paths[row.name] = row
            self._keys.add(row.sha256)
            known = self._files.setdefault(PurePosixPath(row.name).name, row)
            if known is None or known.sha256 != row.sha256:
                self._files[PurePosixPath(row.name).name] = None

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def find_path(self, *names: str) -> PictureRow | None:
        """The picture at the first of several official places that it has one at."""
        found = (self._paths.get(PurePosixPath(name).as_posix()) for name in names)
        return next((row for row in found if row is not None), None)

    def find_file(self, *names: str) -> PictureRow | None:
        """The picture of the first of several file names that it has, in whatever folder."""
        found = (self._files.get(PurePosixPath(name).name) for name in names)
        return next((row for row in found if row is not None), None)
