"""Finds SQLAlchemy's lazy loader, a class that has lost its public name, and the waits among the look-ups of its pool's queue.

In: `sqlalchemy.orm.strategies` or `sqlalchemy.util.queue`, just imported. Out: the class, LazyLoader to 2.0 and _LazyLoader from
2.1 on, with one method timed; queues whose `get` is timed when it waits: it may, and there is nothing in the queue. Runs in the
watched process.
"""

from __future__ import annotations

from hookmon.adapter import attribute, drop_frame, hide_frames, look_like, shielded
from hookmon.packs.pools import is_empty

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time a method, `call` being "LazyLoader._emit_lazyload" or "Queue.get"."""
    owner, _, name = call.partition(".")
    space = vars(module)
    found = space[owner] if owner in space else space[f"_{owner}"]
    plain = getattr(found, name)
    made = timed(plain, call)
    if name == "get":
        made = _waiting(plain, made, shielded(True)(_is_empty_async if owner.startswith("Async") else _is_empty))
    patches.replace(found, name, made)


@hide_frames
def _waiting(plain: Any, timed: Any, has_nothing: Any) -> Any:
    def get(self: Any, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return (timed if block and has_nothing(self) else plain)(self, block, timeout)
        except BaseException as error:
            drop_frame(error)
            raise

    return look_like(get, plain)


def _is_empty(queue: Any) -> bool:
    return is_empty(queue, "queue")


def _is_empty_async(queue: Any) -> bool:
    return is_empty(attribute(queue, "_queue"), "_queue")
