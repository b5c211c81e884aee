"""Types that several rooms share: the arguments of a call, and what is done to them. Only type checkers read this module."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.machinery import ModuleSpec as ModuleSpec
    from types import CodeType as CodeType
    from types import ModuleType as ModuleType
    from typing import Protocol, TypeVar

    F = TypeVar("F", bound=Callable[..., object])

    Args = tuple[object, ...]
    KwArgs = dict[str, object]

    Function = Callable[..., object]
    """A callable of the program, or what stands in for it."""

    Loaded = Callable[[ModuleType, str], None]
    """Is called with a module that has been loaded, and its name."""

    Prepared = Callable[[CodeType, str], CodeType]
    """Is called with the code of a module that is about to be executed, and its name; returns what is to be executed."""

    Owner = ModuleType | type
    """What has functions by their names."""

    class Steps(Protocol):
        """What runs in steps: a generator, or a coroutine."""

        def send(self, value: object, /) -> object:
            """Run up to the next `yield`, whose result is the value."""

        @property
        def throw(self) -> Function:
            """Do the same with an exception, given as one or as its class, value and traceback."""

        def close(self) -> object:
            """End it, with GeneratorExit at the `yield` where it stands."""

    class Generator(Steps, Iterator[object], Protocol):
        """What runs in steps and is iterated over."""

    class Closable(Protocol):
        """What is open in a lane while a call lasts: a transaction, or a visit to another lane's."""

        def close(self) -> None:
            """Close it, with the call."""
