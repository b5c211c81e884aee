"""What of a run is switched off while it runs (`hookmon off`): the lines on its control page, and which targets they take.

In: paths of targets, `module:call`, and their packs. Out: whether such a target is off. A line with a colon is a path, in whose
two parts globs may stand, as in `--watch`; one without is the name of a pack. Both halves use it. Nothing is imported besides.
"""

from __future__ import annotations

from hookmon.core.globs import EVERYTHING, Glob, is_glob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Off:
    """What is off, ready to be asked: `lines` as they stand on the page, each of some path or pack."""

    __slots__ = ("_exact", "_globs")

    def __init__(self, lines: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._globs: list[tuple[Glob, Glob]] = []
        for line in lines:
            module, _, call = line.partition(":")
            if is_glob(module) or is_glob(call):
                self._globs.append((Glob(module), Glob(EVERYTHING if call == "*" else call)))
            else:
                self._exact.add(line)

    def takes(self, path: str, pack: str) -> bool:
        """Say whether a target is off."""
        if path in self._exact or (pack and pack in self._exact):
            return True
        module, _, call = path.partition(":")
        return any(modules.takes(module) and calls.takes(call) for modules, calls in self._globs)
