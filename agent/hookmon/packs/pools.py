"""Times the checkouts of pooled connections that wait for somebody: all connections are in use, and the pool may open no more.

In: the module of a pool, just imported, and the method that hands a connection out. Out: the method, timed where nothing is left
when it is called. Any other checkout takes what is there, or opens a connection: that is the driver's to time. Runs in the
watched process.
"""

from __future__ import annotations

from hookmon.packs.asgi import like
from hookmon.probe.base.frames import leave_traceback, unseen
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import attribute
from hookmon.probe.patching.lifetimes import follow
from hookmon.probe.wrappers.make import told

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches

_COROUTINE_FLAG = 0x80  # inspect.CO_COROUTINE


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time the checkouts that wait, `call` being "Pool._acquire" or "ConnectionPool.getconn"."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = vars(owner)[name]
    judge = _IS_USED_UP[module.__name__]
    is_used_up, handed_out = shielded(True)(judge), None
    if judge is _all_are_wanted:
        handed_out = shielded(None)(_hand_out)
        patches.replace(owner, "putconn", told(vars(owner)["putconn"], _take_back))
    make = _waiting_async if _is_coroutine_function(plain) else _waiting
    patches.replace(owner, name, like(make(plain, timed(plain, call), is_used_up, handed_out), plain))


@unseen
def _waiting(plain: Any, timed: Any, is_used_up: Any, handed_out: Any) -> Any:
    def checkout(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            connection = (timed if is_used_up(self) else plain)(self, *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        if handed_out is not None:
            handed_out(self, connection)
        return connection

    return checkout


@unseen
def _waiting_async(plain: Any, timed: Any, is_used_up: Any, handed_out: Any) -> Any:
    async def checkout(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            connection = await (timed if is_used_up(self) else plain)(self, *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        if handed_out is not None:
            handed_out(self, connection)
        return connection

    return checkout


def _is_coroutine_function(function: Any) -> bool:
    """Say whether the innermost function is one: redis-py decorates its own."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return bool(function.__code__.co_flags & _COROUTINE_FLAG)


def is_empty(queue: Any, name: str) -> bool:
    """Say whether a queue has no item; where it keeps them elsewhere than in a list of that name, that it has none."""
    items = attribute(queue, name)
    return type(items).__name__ not in ("list", "deque") or not items


def _no_holder(pool: Any) -> bool:
    """asyncpg has a queue of places for connections, open or not."""
    return is_empty(attribute(pool, "_queue"), "_queue")


def _no_connection(pool: Any) -> bool:
    """Redis has a queue of connections, `None` for one that is still to be made."""
    return is_empty(attribute(pool, "pool"), "queue")


def _no_idle_connection(pool: Any) -> bool:
    """Redis for asyncio counts those in use."""
    in_use: Any = attribute(pool, "_in_use_connections")
    return is_empty(pool, "_available_connections") and len(in_use) >= attribute(pool, "max_connections")


def _all_are_wanted(pool: Any) -> bool:
    """psycopg opens connections beside the checkouts: the first that wait get those, others what comes back.

    A pool that keeps none has who checks out open one; what is being opened is among its number.
    """
    most = attribute(pool, "_max_size")
    if most <= 0 or not is_empty(pool, "_pool"):
        return False
    keeps_none = any(kind.__module__.startswith("psycopg_pool.null") for kind in type(pool).__mro__)
    wanted = attribute(pool, "_nconns") if keeps_none else len(_out.get(id(pool), ())) + len(attribute(pool, "_waiting"))
    return bool(wanted >= most)


_IS_USED_UP: dict[str, Callable[[Any], bool]] = {
    "asyncpg.pool": _no_holder,
    "psycopg_pool.pool": _all_are_wanted,
    "psycopg_pool.pool_async": _all_are_wanted,
    "redis.connection": _no_connection,
    "redis.asyncio.connection": _no_idle_connection,
    "valkey.connection": _no_connection,
    "valkey.asyncio.connection": _no_idle_connection,
}
"""By module: says that a pool has nothing to hand out and may open nothing. Nothing of the program's runs for it."""

_out: dict[int, set[int]] = {}
"""By identity of a pool of psycopg: the identities of the connections that somebody has."""


def _hand_out(pool: Any, connection: Any) -> None:
    if id(pool) not in _out:
        _out[id(pool)] = set()
        follow(pool, _out.pop)
    _out[id(pool)].add(id(connection))


def _take_back(args: Any, kwargs: Any, _result: Any) -> None:
    _out.get(id(args[0]), set()).discard(id(args[1] if len(args) > 1 else kwargs["conn"]))
