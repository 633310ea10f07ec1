"""Objects of an S3 bucket, below a prefix."""

from collections.abc import Iterator

from mmicl.fetch.partial import RemoteFile
from mmicl.fetch.uri import Source, check_name
from mmicl.storage import Bucket, StoredObject


class BucketPrefix:
    """The remote of one `s3://BUCKET/PREFIX`: that object, or all whose keys go on after a `/`."""

    workers = 8
    """Parts that come at one time; each holds a block in memory."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._bucket = Bucket(source.name, connections=self.workers)
        self._prefix = "" if source.path.name == "" else source.path.as_posix()

    def list_files(self) -> Iterator[RemoteFile]:
        """The objects that `include` lets in; the empty ones that stand for folders are left."""
        for item in self._bucket.list_objects(self._prefix):
            if item.key == self._prefix:
                name = self._source.path.name
            elif self._prefix and not item.key.startswith(self._prefix + "/"):
                continue  # coco2/… when coco is asked for
            else:
                name = item.key[len(self._prefix) + 1 :] if self._prefix else item.key
            if (item.size or not name.endswith("/")) and name and self._source.takes(name):
                name = check_name(name, self._source.uri)
                yield RemoteFile(name, item.size, item.etag, f"s3://{self._source.name}/{item.key}")

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, of the listed version."""
        key = file.origin.removeprefix(f"s3://{self._source.name}/")
        item = StoredObject(key, file.size or 0, file.version or "")
        return self._bucket.read_object(item, start, item.size if end is None else end)
