"""A folder with a configuration in it, and what hookmon says about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hookmon.config import packs
from hookmon.config.load import load
from hookmon.core.errors import ConfigError


@pytest.fixture(scope="session", autouse=True)
def _shipped_packs_are_read_once() -> Iterator[None]:
    """Keep what `read_packs` found in hookmon's own folder: it does not change meanwhile, and a load of it takes 50 ms."""
    read = packs.read_packs
    kept: list[packs.Pack] = []

    def read_once(problems: list, folder: Path = packs.FOLDER) -> list[packs.Pack]:
        if folder != packs.FOLDER:
            return read(problems, folder)
        if not kept:
            own: list = []
            kept.extend(read(own, folder))
            assert own == []
        return list(kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packs, "read_packs", read_once)
        yield


class Folder:
    """A project folder of a test."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str, name: str = "hookmon.toml") -> Path:
        """Write a file and return its path."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def load(self, **options):
        """Load the configuration as a run started in this folder would."""
        return load(self.path, **options)

    def own_watches(self, **options):
        """Return the watches that are the user's."""
        return [watch for watch in self.load(**options).watches if not watch.pack]

    def problems(self, text: str | None = None, name: str = "hookmon.toml", **options) -> list[str]:
        """Return everything that is wrong, after writing `text`."""
        if text is not None:
            self.write(text, name)
        with pytest.raises(ConfigError) as caught:
            self.load(**options)
        return caught.value.problems


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty project folder."""
    return Folder(tmp_path)
