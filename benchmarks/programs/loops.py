"""How calls are timed: short batches that take turns, of which the fastest counts.

A batch is short enough to fit between two interruptions of a busy machine; noise only ever adds, so the minimum is the cost.
What the loop itself takes is in both numbers of a pair and cancels out in their difference.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextvars import copy_context
from itertools import repeat
from pathlib import Path
from time import perf_counter_ns as clock
from types import ModuleType
from typing import Any

Loop = Callable[[Any, int], int]


def function(shop: Any, count: int) -> int:
    """Call the function; return nanoseconds, as all of these do."""
    call = shop.function
    started = clock()
    for _ in repeat(None, count):
        call()
    return clock() - started


def method(shop: Any, count: int) -> int:
    """Call the method of an instance."""
    instance = shop.Shop()
    started = clock()
    for _ in repeat(None, count):
        instance.method()
    return clock() - started


def named(shop: Any, count: int) -> int:
    """Call what is counted under one of four names."""
    call = shop.named
    items = ("apple", "pear", "plum", "quince")
    started = clock()
    for _ in repeat(None, count // 4):
        for item in items:
            call(item)
    return clock() - started


def nested(shop: Any, count: int) -> int:
    """Call ten functions inside each other."""
    call = shop.level1
    started = clock()
    for _ in repeat(None, count):
        call()
    return clock() - started


def coded(shop: Any, count: int) -> int:
    """Call the function that is known by its code."""
    call = shop.coded
    started = clock()
    for _ in repeat(None, count):
        call()
    return clock() - started


def numbers(shop: Any, count: int) -> int:
    """Go through a generator of ten numbers."""
    call = shop.numbers
    started = clock()
    for _ in repeat(None, count):
        for _ in call():
            pass
    return clock() - started


_runner: Any = None


def coroutine(shop: Any, count: int) -> int:
    """Await the coroutine in a running event loop, inside the transaction that is open here."""
    return _await(shop.coroutine, count)


def awaited(shop: Any, count: int) -> int:
    """Do the same with the one that is known by its code."""
    return _await(shop.awaited, count)


def wrapped(shop: Any, count: int) -> int:
    """Call the function that has a wrapper under its name."""
    call = shop.wrapped
    started = clock()
    for _ in repeat(None, count):
        call()
    return clock() - started


def joined(shop: Any, count: int) -> int:
    """Await the coroutine whose function has one."""
    return _await(shop.joined, count)


def _await(call: Any, count: int) -> int:
    global _runner
    if _runner is None:
        import asyncio  # only now: under callgrind this takes longer than all the rest

        _runner = asyncio.Runner()

    async def main() -> int:
        started = clock()
        for _ in repeat(None, count):
            await call()
        return clock() - started

    return _runner.run(main(), context=copy_context())


LOOPS: dict[str, tuple[Loop, int]] = {
    "function": (function, 200),
    "method": (method, 200),
    "named": (named, 200),
    "coroutine": (coroutine, 200),
    "nested": (nested, 20),
}
"""By scenario: the loop, and how many calls a batch has. Some peers keep at most 500 spans of a transaction."""

BY_CODE: dict[str, tuple[Loop, int]] = {"coded": (coded, 200), "numbers": (numbers, 20), "awaited": (awaited, 200)}
"""Those of functions that are watched by the events of their code; "numbers" are eleven steps of a generator."""

BY_NAME: dict[str, tuple[Loop, int]] = {"wrapped": (wrapped, 200), "joined": (joined, 200)}
"""Those of functions that are watched by wrappers under their names, as all are before CPython 3.12."""


def copy_of_shop(name: str) -> ModuleType:
    """Return a fresh module of `shop.py` under another name."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def do_nothing() -> None:
    """Neither begin nor end anything."""


def measure(
    shops: dict[str, Any],
    batches: int,
    begin: Callable[[], None] = do_nothing,
    end: Callable[[], None] = do_nothing,
) -> dict[str, dict[str, float]]:
    """Return {scenario: {name of the shop: nanoseconds a call}}; all but the shop "bare" run between `begin` and `end`."""
    result: dict[str, dict[str, float]] = {}
    for scenario, (loop, count) in LOOPS.items():
        best = dict.fromkeys(shops, float("inf"))
        for _ in range(batches):
            for name, shop in shops.items():
                if name == "bare":
                    spent = loop(shop, count)
                else:
                    begin()
                    spent = loop(shop, count)
                    end()
                best[name] = min(best[name], spent / count)
        result[scenario] = best
    return result
