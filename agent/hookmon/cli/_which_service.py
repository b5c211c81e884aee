"""Finds the service that a user means, and stretches of it. In: what was typed. Out: names, and windows as runs.

Nothing of the room `services` is imported before somebody asks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hookmon.cli import _output
from hookmon.config.find import find_project

if TYPE_CHECKING:
    from hookmon.services.store import ServiceStore


def store_here() -> ServiceStore:
    """Return the store of services as it is seen from the project in which the command was given."""
    from hookmon.services.store import ServiceStore

    return ServiceStore.of_user(find_project(Path.cwd()), _output.tell)


def names_in(store: ServiceStore) -> list[str]:
    """Return the names of all services. Raises StoreError."""
    from hookmon.services.reading import services

    return [row.name for row in services(store)]
