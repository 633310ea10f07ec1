"""Official files of a dataset, from a source URI into a folder with a manifest."""

from mmicl.fetch.dataset import Generate, fetch_dataset
from mmicl.fetch.manifest import MANIFEST, FileEntry, Manifest, read_manifest
from mmicl.fetch.uri import Source, locate_folder, parse_source

__all__ = [
    "MANIFEST",
    "FileEntry",
    "Generate",
    "Manifest",
    "Source",
    "fetch_dataset",
    "locate_folder",
    "parse_source",
    "read_manifest",
]
