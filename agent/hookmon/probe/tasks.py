"""Which asyncio task runs. Runs in the watched process, where asyncio is only looked at when the program has imported it."""

from __future__ import annotations

import sys

from hookmon.probe.guard import shielded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@shielded(0)
def running_task() -> int:
    """Return the identity of the running asyncio task, 0 when there is none (trio and others, plain callbacks)."""
    module: Any = sys.modules.get("_asyncio")
    loop = module._get_running_loop() if module is not None else None
    if loop is None:
        return 0
    if hasattr(module, "current_task"):  # from 3.12 on
        return id(module.current_task())
    return id(module._current_tasks.get(loop))
