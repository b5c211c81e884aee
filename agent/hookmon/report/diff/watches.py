"""Which watches two runs do not share, and what that means for their counts. In: two runs. Out: names for people, and answers.

What only one run watched was not called only there; and where one of them begins transactions, calls stand under another name in
the other run though the program made them alike.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from hookmon.collector.counters import CallKey, Counters
from hookmon.collector.store import Node, Run
from hookmon.core.globs import SUFFIXES, Glob, is_glob
from hookmon.core.record import Record, field
from hookmon.report.texts import listing

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

WHOLE_RUN = "(whole run)"
"""What counts belong to where transactions cannot be compared."""

_MOST_NAMED = 6
_NOT_ASKED = ("id", "source", "calls", "pack", "files")


class Unshared(Record, slots=True):
    """The watches that only one of two runs had, or that one had in another form.

    `moves` says that they decide which transaction a call belongs to.
    """

    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)
    otherwise: list[str] = field(default_factory=list)
    patterns: set[tuple[str, str]] = field(default_factory=set)  # module, call
    moves: bool = False

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def covers(self, target: str) -> bool:
        """Say whether calls of a target may be missing in one run because it was not watched there, or not in that way."""
        module, _, call = target.partition(":")
        return any(_may_be(module, of) and fnmatchcase(call, pattern) for of, pattern in self.patterns)

    @property
    def sentence(self) -> str:
        """What differs, in words."""
        parts = [
            f"{who} {listing(names, _MOST_NAMED)}{how}"
            for who, names, how in (
                ("only A watches", self.only_a, ""),
                ("only B watches", self.only_b, ""),
                ("B watches", self.otherwise, " in another way"),
            )
            if names
        ]
        return f"the configuration differs: {'; '.join(parts)}"


def _may_be(module: str, of: str) -> bool:
    """Say whether a module may be one that a watch names. Of a file nobody knows how its module was called."""
    return module == of or of.endswith(SUFFIXES) or (is_glob(of) and Glob(of).takes(module))


def find_unshared(a: Run, b: Run) -> Unshared:
    """Compare what two runs were to watch, call by call; where that was written and in which order is no difference."""
    asked_a, asked_b = _forms(a), _forms(b)
    found = Unshared()
    for key in dict.fromkeys([*asked_a, *asked_b]):
        pack, module, call = key
        forms_a, forms_b = asked_a.get(key, []), asked_b.get(key, [])
        if forms_a == forms_b:
            continue
        found.patterns.add((module, call))
        names = found.only_a if not forms_b else found.only_b if not forms_a else found.otherwise
        name = f"pack {pack}" if pack else f"{module}:{call}"
        if name not in names:
            names.append(name)
        found.moves = found.moves or any(watch.get("entry") or watch.get("entry_name") for watch in (*forms_a, *forms_b))
    return found


def _forms(run: Run) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Return {(pack, module, call): forms in which it is watched}."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for watch in run.plan:
        form = {key: value for key, value in watch.items() if key not in _NOT_ASKED}
        for call in watch["calls"]:
            found.setdefault((watch.get("pack", ""), watch["module"], call), []).append(form)
    return found


def whole_run(nodes: list[Node]) -> dict[CallKey, Counters]:
    """Return how often each name of a run was called, and with how many errors, whatever transaction that was in."""
    found: dict[CallKey, Counters] = {}
    for node in nodes:
        if node.calls and not node.part:
            found.setdefault(CallKey(node.name, node.kind, node.target), Counters()).add_node(node)
    return found
