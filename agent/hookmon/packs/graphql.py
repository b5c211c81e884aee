"""Times GraphQL operations by the name of the one that is executed, and lets those be errors whose result has errors.

In: `graphql.execution.execute`, just imported. Out: its `execute`, which returns errors and raises none: to the recorder an
operation with errors raises, to the program it returns what it always does. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import MISSING, attribute, can_be_awaited, drop_frame, hide_frames, look_like, shielded

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_NAME_POSITION = 5  # of operation_name among execute's parameters, in 3.2 and 3.3


_INNER = "experimental_execute_incrementally"


class _FailedError(Exception):
    """Carries a result with errors from the timed call to the one that returns it."""


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time `execute`; from 3.3 on what that, `execute_sync` and incremental delivery call alike."""
    name = _INNER if _INNER in vars(module) else call
    plain = vars(module)[name]

    def run(operation: str, args: Any, kwargs: Any) -> Any:
        try:
            result = plain(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        return _checked_later(result) if can_be_awaited(result) else _checked(result)

    operation = timed(run, call)

    def execute(*args: Any, **kwargs: Any) -> Any:
        try:
            result = operation(_name(args, kwargs), args, kwargs)
        except _FailedError as failed:
            return failed.args[0]
        except BaseException as error:
            drop_frame(error)
            raise
        return _whole(result) if can_be_awaited(result) else result

    patches.replace(module, name, look_like(execute, plain))


async def _whole(timed: Any) -> Any:
    try:
        return await timed
    except _FailedError as failed:
        return failed.args[0]
    except BaseException as error:
        drop_frame(error)
        raise


async def _checked_later(result: Any) -> Any:
    try:
        whole = await result
    except BaseException as error:
        drop_frame(error)
        raise
    return _checked(whole)


def _checked(result: Any) -> Any:
    if attribute(result, "errors") not in (None, MISSING):
        raise _FailedError(result)
    return result


@shielded("?")
def _name(args: Any, kwargs: Any) -> str:
    """Return what an operation is called: by the caller, else by its own name, else by its type."""
    name = args[_NAME_POSITION] if len(args) > _NAME_POSITION else kwargs.get("operation_name")
    if isinstance(name, str) and name:
        return name
    document = args[1] if len(args) > 1 else kwargs.get("document")
    for definition in attribute(document, "definitions") or ():
        kind = attribute(definition, "operation")
        if kind is not MISSING:
            own = attribute(attribute(definition, "name"), "value")
            return own if isinstance(own, str) else str(attribute(kind, "_value_"))
    return "?"
