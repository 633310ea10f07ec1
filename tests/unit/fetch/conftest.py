"""What tests of fetching share: a dataset's folders, a web server, no pauses."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from web_server import Behaviour, serve

from mmicl.fetch import Manifest, fetch_dataset, partial
from mmicl.fetch.limits import TRUSTED_VARIABLE

Fetch = Callable[..., Manifest]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Where the dataset goes."""
    return tmp_path / "root" / "data" / "raw" / "coco"


@pytest.fixture
def fetch(tmp_path: Path, raw: Path) -> Fetch:
    """Fetch a source into `raw`, with its state in `tmp_path/state`."""

    def run(source: str, folder: Path = raw) -> Manifest:
        state, root = tmp_path / "state", tmp_path / "root"
        return fetch_dataset(
            source, folder, licence="CC0-1.0", state=state, root=root, generate=_refuse
        )

    return run


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Behaviour]]:
    """A web server that is trusted by name; nobody waits between tries."""
    monkeypatch.setattr(partial, "FIRST_PAUSE", 0.001)
    with serve() as (address, behaviour):
        monkeypatch.setenv(TRUSTED_VARIABLE, address.removeprefix("http://"))
        yield address, behaviour


def _refuse(name: str, options: dict[str, int], folder: Path) -> None:
    raise AssertionError(f"no world {name} is asked for here")
