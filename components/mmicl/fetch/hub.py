"""Files of a dataset on the Hugging Face hub, through its own library and its own cache.

`HF_HOME` or `HF_HUB_CACHE`, where set, name the cache, so that a machine without a network reads
what lies there (`HF_HUB_OFFLINE=1`); else the cache lies in the state folder. `HF_TOKEN` is read by
the library itself.
"""

import os
from dataclasses import dataclass
from glob import escape
from pathlib import Path, PurePosixPath

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

    Of a folder no more comes than `include` asks for, or little more.
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
            allow_patterns=_list_patterns(path, source.include),
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
        wanted = " in ".join(filter(None, (", ".join(source.include), path)))
        message = f"the dataset has no {wanted}"
        raise UserError(message, where=source.uri, remedy="check the path and the revision")
    return Snapshot(place, Path(folder).parents[1].resolve(), Path(folder).name)


def _list_patterns(path: str, include: tuple[str, ...]) -> list[str] | None:
    """What the hub's library shall bring, as it understands patterns; None for all there is.

    Its `*` crosses folders, and its `**/` would not stand for none of them as ours does. What comes
    too much by the change is left out where the snapshot is listed.
    """
    if not path and not include:
        return None
    folder = f"{escape(path)}/" if path else ""
    globs = [PurePosixPath(glob).as_posix().replace("**/", "*") for glob in include or ("*",)]
    return [*([escape(path)] if path else []), *(f"{folder}{glob}" for glob in globs)]


def _shorten(error: Exception) -> str:
    """The first line of a message that spans several."""
    return str(error).strip().partition("\n")[0]
