"""The one place inside the watched program where any exception of ours is caught.

What fails in here is ours, never the program's: its calls are made outside. KeyboardInterrupt and the like pass.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

failures: list[str] = []
"""What went wrong inside hookmon, each kind once, at most 20; the patcher hands it to the collector as notes."""


def shielded(otherwise: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function answer `otherwise` where it would raise an Exception."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                remember(f"{function.__name__}: {type(error).__name__}: {error}")
                return otherwise  # type: ignore[no-any-return]

        return call

    return decorate


def remember(failure: str) -> None:
    """Keep a failure for the report."""
    if len(failures) < 20 and failure not in failures:
        failures.append(failure[:300])
