"""Lets the job that Dramatiq runs be an error when its actor has raised, also when it will be tried again: the worker catches it.

In: `dramatiq.broker`, just imported. Out: `MessageProxy.stuff_exception`, with which the worker keeps what an actor has raised. Runs
in the watched process.
"""

from __future__ import annotations

from hookmon.probe import transactions

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patcher import Patches


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Let `MessageProxy.stuff_exception` tell the open transaction."""
    owner: Any = vars(module)["MessageProxy"]
    plain = owner.stuff_exception

    def stuff_exception(self: Any, exception: BaseException) -> None:
        transactions.fail()
        plain(self, exception)

    stuff_exception.__doc__ = plain.__doc__
    stuff_exception.__qualname__ = plain.__qualname__
    stuff_exception.__module__ = plain.__module__
    stuff_exception.__wrapped__ = plain  # type: ignore[attr-defined]
    patches.replace(owner, "stuff_exception", stuff_exception)
