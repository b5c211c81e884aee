"""Lets greenlets of gevent belong to the request, job or test in which they were spawned: gevent gives each a context of its own.

In: `gevent.greenlet`, just imported. Out: a callback that gevent calls when a greenlet is started, and that puts our context
variable, and no other, into the context that the greenlet will begin with. Runs in the watched process.
"""

from __future__ import annotations

import sys
from _contextvars import Context

from hookmon.adapter import current_transaction, join, membership, shielded

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

is_on = False


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Ask gevent to call back; its class is a C type and cannot be patched."""
    patches.replace(sys.modules[__name__], "is_on", True)
    vars(module)["Greenlet"].add_spawn_callback(_spawned)


@shielded(None)
def _spawned(greenlet: Any) -> None:
    if is_on and greenlet.gr_context is None and current_transaction() is not None:
        context = Context()
        context.run(join, membership())
        greenlet.gr_context = context
