"""Applies the watches of `__main__` to the started script.

In: the watches, and each definition of the script when it is made. Out: a decorator closest to the definition, and a note about
each target. Runs in the watched process, where the script's own functions are watched.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.core.globs import is_glob
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.target import is_own
from hookmon.probe.patching import by_code
from hookmon.probe.patching.codes import functions_in, stands_for
from hookmon.probe.patching.entries import sort_by_likeness
from hookmon.probe.patching.patcher import explain_empty_class, pairs_of, target_of, wrap_endpoint_attribute, wrap_registration
from hookmon.probe.recording import notes
from hookmon.probe.wrappers.make import RefusedError, stand_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FunctionType

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.base.shapes import Function


class MainPatcher:
    """Applies the watches of `__main__` to definitions, one at a time, as the started script makes them."""

    def __init__(self, watches: list[WatchPlan]) -> None:
        self._pairs = pairs_of(watches)
        self._functions: list[str] = []  # qualified names
        self._noted: set[tuple[int, str, int]] = set()  # (watch, call, status)

    def prepare(self, code: CodeType, decorated: frozenset[str]) -> tuple[CodeType, bool]:
        """Watch functions of the script by their code; return what is to be executed, and whether anything is watched.

        `decorated` are the qualified names of its methods that have a decorator: some are getters of properties.
        """
        pairs = sorted(self._pairs, key=lambda pair: is_glob(pair[1]))
        made = by_code.prepare("__main__", code, pairs, target_of, is_all=True, decorated=decorated)
        self._functions = [function.name for function in functions_in(code)]
        return made, any(by_code.ways_of(watch, "__main__", call) for watch, call in pairs)

    def wants(self, name: str, *, is_all: bool = False) -> bool:
        """Say whether a definition is to be decorated: itself, or as the `__init__` of a class that is.

        With `is_all` that is all that is wanted; else what is watched by its code needs no decorator.
        """
        return self._pair_of(name, is_all) is not None

    def _pair_of(self, name: str, is_all: bool) -> tuple[WatchPlan, str] | None:
        found = [pair for pair in self._pairs if (is_all or not by_code.applies(pair[0])) and stands_for(pair[1], name)]
        return min(found, key=lambda pair: is_glob(pair[1])) if found else None

    def watch_function(self, function: FunctionType) -> Function | None:
        """Watch a function that came by value from the script of another process; return what is to serve for it."""
        name = function.__code__.co_qualname
        pair = self._pair_of(name, True)
        if pair is None:
            return None
        watch, call = pair
        target = target_of("__main__", name, watch)
        if by_code.applies(watch) and by_code.watch_function(function, target, watch, is_method="." in name):
            self._note(watch, call, layout.TARGET_ACTIVE)
            return None
        return self.decorator(name, is_all=True)(function)

    def decorator(self, name: str, *, is_all: bool = False) -> Callable[[Function], Function]:
        """Return the decorator for a definition; it goes below the definition's own ones."""
        pair = self._pair_of(name, is_all)
        assert pair is not None
        watch, call = pair
        target = target_of("__main__", name.removesuffix(".__init__") if call != name else name, watch)

        @shielded(None)
        def wrap(function: Function) -> Function | None:
            try:
                if "hook" in watch:
                    made: Function = wrap_registration(function, target, watch, is_method="." in name)
                elif "until" in watch:
                    made = wrap_endpoint_attribute(function, target, watch, call, is_method="." in name)
                else:
                    made = stand_in(function, target, watch["span"], is_method="." in name)
            except RefusedError as error:
                self._note(watch, call, layout.TARGET_REFUSED, str(error))
                return None
            self._note(watch, call, layout.TARGET_ACTIVE)
            return made

        return lambda function: wrap(function) or function

    def note_defined(self, names: list[str], filename: str) -> None:
        """Note the calls that name nothing in the script. A tool's own script may run another one, of which we see nothing."""
        for watch, call in self._pairs:
            if by_code.applies(watch):
                ways = by_code.ways_of(watch, "__main__", call)
                if ways:
                    self._note(watch, call, layout.TARGET_ACTIVE, " ".join(sorted(ways)))
                    continue
                if watch.get("own"):
                    continue
            elif any(stands_for(call, name) for name in names):
                continue
            if call in names:
                reason = f"{call} is a class without an __init__ of its own, whose making cannot be timed"
                self._note(watch, call, layout.TARGET_REFUSED, reason)
            elif is_own(filename) and _is_empty_class(call, names):
                self._note(watch, call, layout.TARGET_REFUSED, explain_empty_class(call.rpartition(".")[0]))
            elif is_own(filename):
                self._note(
                    watch, call, layout.TARGET_NOT_FOUND, sort_by_likeness(dict.fromkeys((*names, *self._functions)), call)
                )
            else:
                reason = f"the started script was {filename}, which does not define it; what a tool runs in turn is not seen here"
                self._note(watch, call, layout.TARGET_ELSEWHERE, reason)

    def _note(self, watch: WatchPlan, call: str, status: int, detail: str = "") -> None:
        """Note what became of a call; once, as a script may be run again and again."""
        if (watch["id"], call, status) not in self._noted:
            self._noted.add((watch["id"], call, status))
            notes.note_watch(watch["id"], f"__main__:{call}", status, detail)


def _is_empty_class(call: str, names: list[str]) -> bool:
    """Say whether a glob stands for the functions of a class of the script that has none."""
    owner, _, pattern = call.rpartition(".")
    return is_glob(pattern) and owner in names and not any(name.startswith(f"{owner}.") for name in names)
