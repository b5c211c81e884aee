"""Times a method that a class in Python inherits from a type in C, for that class: the type itself can be patched by nobody.

In: a module, just imported, and a call, "Socket.recv". Out: the class has a method of this name of its own, which is
timed. Runs in the watched process.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time the method that `call` names, wherever the class has it from."""
    name, _, method = call.partition(".")
    owner = vars(module)[name]
    holder = next(holder for holder in owner.__mro__ if method in vars(holder))
    patches.replace(owner, method, timed(vars(holder)[method], call))
