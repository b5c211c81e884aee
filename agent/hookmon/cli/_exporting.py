"""Exporting for verbs: nothing of the room `export` is imported where nothing is exported."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hookmon.config.exports import EXPORTERS as EXPORTERS

if TYPE_CHECKING:
    from hookmon.config.load import Config
    from hookmon.export.exporters import Targets


@contextmanager
def prepared(tables: Mapping[str, Mapping[str, Any]], config: Config) -> Iterator[Targets | None]:
    """Give where to export to, None for nowhere; an address that is listened at is free again afterwards.

    `tables` are the exporters that are on, by name. Raises ExportError for what cannot be used: then nothing was started.
    """
    if not tables:
        yield None
        return
    from hookmon.config.exports import consumers, systems
    from hookmon.export.exporters import targets

    folder = str(config.path.absolute().parent) if config.path else ""
    packs = [pack for pack, _ in config.offered]
    found = targets(tables, os.environ, systems(packs), consumers(packs), (config.export_filter, folder))
    try:
        yield found
    finally:
        found.close()
