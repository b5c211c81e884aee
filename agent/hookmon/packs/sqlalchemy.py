"""Finds SQLAlchemy's lazy loader, a class that has lost its public name.

In: `sqlalchemy.orm.strategies`, just imported. Out: the class, LazyLoader to 2.0 and _LazyLoader from 2.1 on,
with one method timed. Runs in the watched process.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patcher import Patches


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time a method, `call` being "LazyLoader._emit_lazyload"."""
    owner, _, name = call.partition(".")
    space = vars(module)
    loader = space[owner] if owner in space else space[f"_{owner}"]
    patches.replace(loader, name, timed(getattr(loader, name), call))
