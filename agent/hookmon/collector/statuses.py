"""What became of each target that was asked for, with the reason as far as it is known.

In: what the shards say of watches, and the run when it is put together. Out: rows. Runs in the launcher.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from hookmon.collector.store import BlindSpot, Run, Watched
from hookmon.collector.unwatched import FOREIGN
from hookmon.core import layout
from hookmon.core.globs import is_glob
from hookmon.core.known_libraries import KNOWN_LIBRARIES, advice

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

    from hookmon.collector.hints import Hints

_TELLING = ("entry_name", "entry_status", "entry_body")  # keys of a watch that tells of transactions and has no row of its own

_MISSES = {layout.TARGET_NOT_FOUND, layout.TARGET_ELSEWHERE}
"""What of a watch of several modules is no target as long as another module has one."""

_COMPILERS = {"numba": "numba", "torch": "torch.compile or torch.jit"}
"""{module: its compilers}. Calls of what they have compiled do not pass our wrapper."""


class Statuses:
    """What the processes of a run have said of their targets."""

    def __init__(self) -> None:
        self._known: dict[int, dict[str, dict[int, str]]] = {}  # {watch: {target: {status: detail}}}

    def add(self, watches: Mapping[tuple[int, str], tuple[int, str]]) -> None:
        """Take what one shard says; of two that say the same the first detail stays."""
        for (watch, target), (status, detail) in watches.items():
            self._known.setdefault(watch, {}).setdefault(target, {}).setdefault(status, detail)

    def knows(self, watch: int) -> bool:
        """Say whether any process has said something of a watch."""
        return watch in self._known

    def rows(self, run: Run, project: Path, notes: Iterable[tuple[str, str]]) -> list[Watched]:
        """Return what became of each target of the plan. `notes` are pairs of kind and detail; of some the compilers are told."""
        compilers = {detail for kind, detail in notes if kind == layout.NOTE_COMPILER}
        called = {node.target for node in run.nodes if node.calls or node.total_ns}
        has_transactions = any(node.entry and node.calls for node in run.nodes)
        past_us = " or ".join(_COMPILERS[name] for name in sorted(compilers & _COMPILERS.keys()))
        unseen = any(process.reason and not process.reason.endswith(FOREIGN) for process in run.processes)
        hints = cache(lambda: _load_hints(project))
        rows = []
        for watch in run.plan:
            ends = watch.get("until", ())
            tells = has_transactions and not watch.get("entry") and any(watch.get(key) for key in _TELLING)
            for call, target, known in self._targets(watch):
                if watch.get("own") and layout.TARGET_ACTIVE not in known:
                    continue  # nobody has named anything
                detail = via = ""
                if layout.TARGET_ACTIVE in known:
                    via = known[layout.TARGET_ACTIVE] or "name"
                    is_called = call in ends or tells or any(_is_of(name, target) for name in called)
                    status = "active" if is_called else "unused"
                    if not is_called and not watch["pack"] and past_us:
                        detail = f"what {past_us} has compiled runs uncounted"
                elif layout.TARGET_REFUSED in known:
                    status, detail = "refused", known[layout.TARGET_REFUSED]
                elif layout.TARGET_NOT_FOUND in known:
                    status, detail = "not found", hints().of_name(call, known[layout.TARGET_NOT_FOUND].split("\n"))
                elif layout.TARGET_ELSEWHERE in known:
                    status, detail = "not found", known[layout.TARGET_ELSEWHERE]
                else:
                    status = "never imported"
                    if not watch["pack"]:
                        detail = hints().of_watch(watch["module"], watch.get("files", [])) if target[:9] != "__main__:" else ""
                        if unseen:
                            detail += "; " * bool(detail) + "some processes were not watched, see the blind spots"
                rows.append(Watched(target, status, detail, watch["pack"], watch["source"], via))
        return rows

    def _targets(self, watch: dict[str, Any]) -> Iterator[tuple[str, str, dict[int, str]]]:
        """Yield (call, target, what was said of it) of each target of a watch.

        Of a watch of several modules these are the targets that were found in modules; where one call was found in none of
        them, the call as it is written, with what the first of them said.
        """
        said = self._known.get(watch["id"], {})
        is_wide = bool(watch.get("files")) or is_glob(watch["module"])
        for call in (*watch["calls"], *watch.get("until", ())):
            target = f"{watch['module']}:{call}"
            of_call = {name: known for name, known in said.items() if name.partition(":")[2] == call} if is_wide else {}
            found = {name: known for name, known in of_call.items() if not known.keys() <= _MISSES}
            if found:
                yield from ((call, name, known) for name, known in found.items())
            elif of_call:
                names = [known.get(layout.TARGET_NOT_FOUND, "") for known in of_call.values()]
                yield call, target, {layout.TARGET_NOT_FOUND: "\n".join(dict.fromkeys("\n".join(names).split("\n")))}
            else:
                yield call, target, said.get(target, {})


def incomplete_packs(watched: list[Watched]) -> list[BlindSpot]:
    """Name the packs of which most targets were not found in imported modules: they know another release of the library."""
    spots = []
    for pack in dict.fromkeys(row.pack for row in watched if row.pack):
        found = [row for row in watched if row.pack == pack and row.status != "never imported"]
        missed = [row.target for row in found if row.status == "not found"]
        if 2 * len(missed) > len(found):
            text = f"{pack}: {len(missed)} of {len(found)} targets were not found in what was imported, {missed[0]} among them"
            spots.append(BlindSpot("pack incomplete", text))
    return spots


def libraries_without_pack(notes: Iterable[tuple[str, str]]) -> list[BlindSpot]:
    """Name the well-known libraries that the program has imported and nobody watches; `notes` are pairs of kind and detail."""
    modules = sorted(detail for kind, detail in notes if kind == layout.NOTE_LIBRARY and detail in KNOWN_LIBRARIES)
    return [BlindSpot("no pack", advice(module)) for module in modules]


def _load_hints(project: Path) -> Hints:
    """Return the hints of a run; most runs need none."""
    from hookmon.collector.hints import Hints

    return Hints(project)


def _is_of(target: str, pattern: str) -> bool:
    return target == pattern or (("*" in pattern or "?" in pattern or "[" in pattern) and fnmatchcase(target, pattern))
