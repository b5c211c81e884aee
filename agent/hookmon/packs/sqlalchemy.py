"""Finds SQLAlchemy's lazy loader, which has lost its public name, the waits of its pool's queue, and the making of objects.

In: `sqlalchemy.orm.strategies`, `sqlalchemy.util.queue` or `sqlalchemy.engine.result`, just imported. Out: the class, LazyLoader
to 2.0 and _LazyLoader from 2.1 on, with one method timed; queues whose `get` is timed when it waits: it may, and there is
nothing in the queue; results of the ORM that make their objects chunk by chunk, each timed. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import attribute, drop_frame, hide_frames, is_generator_function, look_like, shielded
from hookmon.packs.pools import is_empty

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time a method, `call` being "LazyLoader._emit_lazyload" or "Queue.get", or what makes the rows of a result."""
    owner, _, name = call.partition(".")
    space = vars(module)
    if name == "__init__":
        _patch_result(space[owner], timed, call, patches)
        return
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


@hide_frames
def _patch_result(owner: Any, timed: Timed, call: str, patches: Patches) -> None:
    plain = owner.__init__

    def make(entity: str, chunks: Any, size: Any) -> Any:
        yield from chunks(size)

    make_timed = timed(make, call)

    def __init__(self: Any, cursor_metadata: Any, chunks: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes one
        entity = _entity_of(cursor_metadata, chunks, args, kwargs)
        if entity:
            plain_chunks = chunks

            def chunks(size: Any) -> Any:
                return make_timed(entity, plain_chunks, size)

        try:
            plain(self, cursor_metadata, chunks, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    patches.replace(owner, "__init__", look_like(__init__, plain))


@shielded("")
def _entity_of(metadata: Any, chunks: Any, args: Any, kwargs: Any) -> str:
    """Return the class of the objects that a result makes, "rows" for several or for columns; "" where they are there already."""
    if not is_generator_function(chunks):
        return ""
    is_single = args[0] if args else kwargs.get("source_supports_scalars", False)
    keys = attribute(metadata, "_keys")
    return keys[0] if is_single and type(keys) in (list, tuple) and len(keys) == 1 and type(keys[0]) is str else "rows"
