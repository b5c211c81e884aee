"""The functions of a module of the program's own, each of which is watched from its first call on.

In: the code of the module, before it is executed, and later that of a function at its first call. Out: whether it is watched.
Runs in the watched process, with the compiled engine from CPython 3.12 on. Most functions of a program are never called, so
nothing is made for them.
"""

from __future__ import annotations

from hookmon.probe.base.guard import shielded
from hookmon.probe.patching import codes
from hookmon.probe.wrappers import monitoring
from hookmon.probe.wrappers.code_timers import mark, own_timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType


class OwnModule:
    """Begins to watch the functions of a module."""

    __slots__ = ("_code", "_getters", "_module")

    def __init__(self, module: str, code: CodeType) -> None:
        self._module = module
        self._code = code
        self._getters: dict[str, set[int]] = {}  # of properties, by the class

    @shielded(None)
    def __call__(self, code: CodeType) -> None:
        """Watch a function by its code, if it is worth it."""
        if not codes.is_worth_it(code):
            return
        owner, _, _ = code.co_qualname.rpartition(".")
        getters = self._getters.get(owner)
        if getters is None:
            getters = self._getters[owner] = codes.getters_of_class(self._code, owner) if owner else set()
        if id(code) not in getters:
            timer, target = own_timer(code, self._module)
            mark(target, monitoring.watch(code, timer))
