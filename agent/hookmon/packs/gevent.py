"""Lets greenlets of gevent belong to the request, job or test in which they were spawned: gevent gives each a context of its own.

In: `gevent.greenlet`, just imported. Out: a callback that gevent calls when a greenlet is started, and that puts our context
variable, and no other, into the context that the greenlet will begin with. Runs in the watched process.
"""

from __future__ import annotations

import sys
from _contextvars import Context

from hookmon.probe.base.guard import shielded
from hookmon.probe.transactions.context import members

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches

is_on = False


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Ask gevent to call back; its class is a C type and cannot be patched."""
    patches.replace(sys.modules[__name__], "is_on", True)
    vars(module)["Greenlet"].add_spawn_callback(_spawned)


@shielded(None)
def _spawned(greenlet: Any) -> None:
    member = members.get(None)
    if is_on and member is not None and not member.transaction.ended and greenlet.gr_context is None:
        context = Context()
        context.run(members.set, member)
        greenlet.gr_context = context
