"""Times the checkouts of pooled connections that wait for somebody: all connections are in use, and the pool may open no more.

In: the module of a pool, just imported, and the method that hands a connection out. Out: the method, timed where nothing is left
when it is called. Any other checkout takes what is there, or opens a connection: that is the driver's to time. Runs in the
watched process.
"""

from __future__ import annotations

from _weakref import ref

from hookmon.adapter import attribute, observe, shielded, time_when

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time the checkouts that wait, `call` being "Pool._acquire" or "ConnectionPool.getconn"."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = vars(owner)[name]
    judge = _IS_USED_UP[module.__name__]
    after = None
    if judge is _all_are_wanted:
        after = shielded(None)(_hand_out)
        patches.replace(owner, "putconn", observe(vars(owner)["putconn"], _take_back))
    patches.replace(owner, name, time_when(shielded(True)(judge), plain, timed(plain, call), after=after))


def is_empty(queue: Any, name: str) -> bool:
    """Say whether a queue has no item; where it keeps them elsewhere than in a list of that name, that it has none."""
    items = attribute(queue, name)
    return type(items).__name__ not in ("list", "deque") or not items


def _no_holder(pool: Any) -> bool:
    """asyncpg has a queue of places for connections, open or not."""
    return is_empty(attribute(pool, "_queue"), "_queue")


def _no_place(pool: Any) -> bool:
    """aiomysql keeps what is free, who has a connection, and how many it is opening."""
    most: Any = attribute(pool, "_maxsize")
    in_use: Any = attribute(pool, "_used")
    return is_empty(pool, "_free") and most > 0 and len(in_use) + attribute(pool, "_acquiring") >= most


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
    wanted = attribute(pool, "_nconns") if keeps_none else len(_out_of(pool)) + len(attribute(pool, "_waiting"))
    return bool(wanted >= most)


_IS_USED_UP: dict[str, Callable[[Any], bool]] = {
    "aiomysql.pool": _no_place,
    "asyncpg.pool": _no_holder,
    "psycopg_pool.pool": _all_are_wanted,
    "psycopg_pool.pool_async": _all_are_wanted,
    "redis.connection": _no_connection,
    "redis.asyncio.connection": _no_idle_connection,
    "valkey.connection": _no_connection,
    "valkey.asyncio.connection": _no_idle_connection,
}
"""By module: says that a pool has nothing to hand out and may open nothing. Nothing of the program's runs for it."""

_out: dict[int, tuple[Any, set[int]]] = {}
"""{id of a pool of psycopg: (weak reference to it, ids of the connections that somebody has)}; it goes when the pool does."""


def _out_of(pool: Any) -> set[int]:
    number = id(pool)
    if number not in _out:
        _out[number] = (ref(pool, lambda _: _out.pop(number)), set())
    return _out[number][1]


def _hand_out(pool: Any, connection: Any) -> None:
    _out_of(pool).add(id(connection))


def _take_back(args: Any, kwargs: Any, _result: Any) -> None:
    _out_of(args[0]).discard(id(args[1] if len(args) > 1 else kwargs["conn"]))
