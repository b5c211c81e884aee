"""Lets the job that Dramatiq runs be an error when its actor has raised, also when it will be tried again: the worker catches it.

In: `dramatiq.broker`, just imported. Out: `MessageProxy.stuff_exception`, with which the worker keeps what an actor has raised.
Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import fail_transaction, observe

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let `MessageProxy.stuff_exception` tell the open transaction."""
    owner: Any = vars(module)["MessageProxy"]

    def stuffed(args: Any, kwargs: Any, result: Any) -> None:
        fail_transaction()

    patches.replace(owner, "stuff_exception", observe(owner.stuff_exception, stuffed))
