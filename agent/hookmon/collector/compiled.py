"""The compiled part of the collector, where the engine was built for the interpreter that the launcher runs on.

`ShardNodes` reads the nodes of a shard, `CallTree` adds them up. They are in the engine's extension, and need no probe for that.
Where it is missing the same is done in Python, which takes ten times as long; so it is with HOOKMON_ENGINE=pure.
"""

from __future__ import annotations

import os

from hookmon.core import layout

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe._engine import CallTree as CallTree
    from hookmon.probe._engine import ShardNodes as ShardNodes


def call_tree() -> CallTree | None:
    """Return a new tree, None where Python does what it would do."""
    tree: CallTree | None = engine.CallTree() if engine is not None else None
    return tree


def shard_nodes(content: bytes) -> ShardNodes | None:
    """Return the nodes of a shard; None where Python has to read it, as where something in it is odd."""
    try:
        nodes: ShardNodes | None = engine.ShardNodes(content) if engine is not None else None
    except ValueError:
        return None
    return nodes


def _load() -> Any:
    if os.environ.get("HOOKMON_ENGINE") == "pure":
        return None
    try:
        import hookmon.probe._engine as found
    except ImportError:  # not built, or it is another interpreter's in this process
        return None
    return found if getattr(found, "NUMBERS", 0) == layout.NUMBERS else None


engine = _load()
"""The extension, None where there is none."""
