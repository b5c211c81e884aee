"""Lets the job that arq runs be an error when it has failed, not when it is to be tried again: the worker catches what it raises.

In: `arq.jobs`, just imported. Out: `serialize_result`, with which a worker makes what it keeps of a job that has ended. Runs in
the watched process.
"""

from __future__ import annotations

from hookmon.adapter import fail_transaction, observe

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_SUCCESS = 5
"""The place of `success` among the arguments."""


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let `serialize_result` tell the open transaction."""
    patches.replace(module, call, observe(vars(module)[call], _kept))


def _kept(args: Any, kwargs: Any, result: Any) -> None:
    success = args[_SUCCESS] if len(args) > _SUCCESS else kwargs.get("success", True)
    if success is False:
        fail_transaction()
