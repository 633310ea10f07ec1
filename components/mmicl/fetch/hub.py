"""Files of a dataset on the Hugging Face hub, through its own library and its own cache.

`HF_HOME` or `HF_HUB_CACHE`, where set, name the cache, so that a machine without a network reads
what lies there (`HF_HUB_OFFLINE=1`); else the cache lies in the state folder. `HF_TOKEN` is read by
the library itself.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from mmicl.errors import TransientError, UserError
from mmicl.fetch.uri import Source

CACHE_VARIABLES = ("HF_HOME", "HF_HUB_CACHE")


@dataclass(frozen=True)
class Snapshot:
    """One commit of a dataset: `place` is the file or folder named, links lead below `cache`."""

    place: Path
    cache: Path
    commit: str


def fetch_snapshot(source: Source, state: Path) -> Snapshot:
    """Bring the file or folder that an `hf://` URI names into the hub's cache.

    Partial downloads survive there, and what is there already is not fetched again.

    Args:
        source: A source of kind hub.
        state: Where the cache lies unless the environment names one.

    Raises:
        TransientError: The hub cannot be reached, and the cache does not hold the files.
        UserError: No such dataset, revision or path, or no right to read it.
    """
    # Imported late: it reads the environment once, and takes a while.
    import httpx2  # what the library speaks with, and whose errors it lets through
    from huggingface_hub import errors, snapshot_download

    named = any(os.environ.get(variable) for variable in CACHE_VARIABLES)
    cache = None if named else state / "hub"
    path = "" if source.path.name == "" else source.path.as_posix()
    try:
        folder = snapshot_download(
            source.name,
            repo_type="dataset",
            revision=source.revision,
            cache_dir=cache,
            allow_patterns=[path, f"{path}/*"] if path else None,
        )
    except errors.LocalEntryNotFoundError as error:
        remedy = "check the network, or HF_HUB_CACHE of a machine without one"
        raise TransientError(_shorten(error), where=source.uri, remedy=remedy) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        remedy = "check the name, and HF_TOKEN if it is a private or gated dataset"
        raise UserError(_shorten(error), where=source.uri, remedy=remedy) from None
    except errors.HFValidationError as error:
        raise UserError(_shorten(error), where=source.uri) from None
    except (httpx2.HTTPError, ConnectionError) as error:
        raise TransientError(_shorten(error), where=source.uri) from None
    place = Path(folder) / path
    if not place.exists():
        message = f"the dataset has no {path}"
        raise UserError(message, where=source.uri, remedy="check the path and the revision")
    return Snapshot(place, Path(folder).parents[1].resolve(), Path(folder).name)


def _shorten(error: Exception) -> str:
    """The first line of a message that spans several."""
    return str(error).strip().partition("\n")[0]
