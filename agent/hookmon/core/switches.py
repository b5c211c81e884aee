"""What of a run is switched off while it runs (`hookmon off`): the lines on its control page, and which targets they take.

In: paths of targets, `module:call`, and their packs. Out: whether such a target is off. A line with a colon is a path, in whose
two parts globs may stand, as in `--watch`; one without is the name of a pack. What `hookmon reload` has taken out has a sign
before it, OUT, and what stays of that another one, KEPT. Both halves use it. Nothing is imported besides.
"""

from __future__ import annotations

from hookmon.core.globs import EVERYTHING, Glob, is_glob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

OUT, KEPT = "-", "+"


class Lines:
    """Some lines, ready to be asked which targets they take."""

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
        """Say whether one of the lines takes a target."""
        if path in self._exact or (pack and pack in self._exact):
            return True
        module, _, call = path.partition(":")
        return any(modules.takes(module) and calls.takes(call) for modules, calls in self._globs)


class Off:
    """What is off, ready to be asked: the lines as they stand on the page."""

    __slots__ = ("_kept", "_off", "_out")

    def __init__(self, lines: Iterable[str]) -> None:
        lines = list(lines)
        self._out = Lines(line[1:] for line in lines if line.startswith(OUT))
        self._kept = Lines(line[1:] for line in lines if line.startswith(KEPT))
        self._off = Lines(line for line in lines if not line.startswith((OUT, KEPT)))

    def takes(self, path: str, pack: str) -> bool:
        """Say whether a target is off."""
        return self._off.takes(path, pack) or (self._out.takes(path, pack) and not self._kept.takes(path, pack))
