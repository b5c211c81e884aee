"""What to watch: the few functions that hold most of the time of a run with --own, or of one that was sampled.

In: a run. Out: a Suggestion, or None where the run tells nothing of that kind. Pure computation.

Chosen are first the functions that take most time themselves, then those that hold most of what is left, until nine tenths of the
time lie within a chosen one. What holds everything, as `main` does, is chosen last and only where nothing else would do: to watch
it tells nothing.
"""

from __future__ import annotations

from pathlib import PurePath

from hookmon.collector.store import Node, Run
from hookmon.core.record import Record, field
from hookmon.report.own import is_own_run
from hookmon.report.texts import location

MOST = 12

_ENOUGH = 0.97  # so that nine tenths are left on the next run, in which calls cost less than with all functions watched

_MOST_BY_SELF = 8
_LEAST_SELF = 0.02
_LEAST_SELF_OF_ALL = 0.10  # of what holds everything
_LEAST_GAIN = 0.01
_HOLDS_ALL = 0.85
_NESTED = "<"  # in the name of what cannot be found by it: a lambda, a comprehension


class Suggested(Record, slots=True):
    """A function to watch. `calls` is 0 where the run was sampled. Shares are of the time, or samples, of the whole run."""

    module: str
    call: str
    location: str
    calls: int
    self_share: float
    total_share: float


class Suggestion(Record, slots=True):
    """Functions to watch, those with most self time first, and the share of the time that lies in one of them."""

    is_sampled: bool
    explained: float
    functions: list[Suggested] = field(default_factory=list)


class _Place(Record, slots=True):
    """A place in a tree of calls; `key` is the function, "" for what cannot be chosen. `is_covered`: a pack watches it anyway."""

    parent: int
    key: str
    self_ns: int
    is_covered: bool = False


def suggest(run: Run) -> Suggestion | None:
    """Return what to watch, None where a run can tell nothing: it watched some functions only, or none was called."""
    calls: dict[str, int] = {}
    if is_own_run(run):
        made = [_Place(node.parent, _key(run, node), max(0, node.self_ns), not run.places.get(node.target)) for node in run.nodes]
        for node in run.nodes:
            calls[node.target] = calls.get(node.target, 0) + node.calls
        places = run.places
        is_sampled = False
    elif run.sampled_stacks:
        made, places = _tree_of_samples(run)
        is_sampled = True
    else:
        return None
    tree = _Tree(made)
    if not tree.whole_ns:
        return None
    chosen = choose(tree)
    total, _ = tree.gains(set(), with_covered=True)
    _, rest_ns = tree.gains(set(chosen))
    functions = []
    for key in chosen:
        module, _, call = key.partition(":")
        place = location(places.get(key, ""), run.project)
        shares = (tree.own[key] / tree.whole_ns, total.get(key, 0) / tree.whole_ns)
        functions.append(Suggested(module, call, place, calls.get(key, 0), *shares))
    functions.sort(key=lambda row: (-row.self_share, -row.total_share, row.module, row.call))
    return Suggestion(is_sampled, 1 - rest_ns / tree.whole_ns, functions)


def _key(run: Run, node: Node) -> str:
    return node.target if run.places.get(node.target) and _NESTED not in node.target.replace("<locals>", "") else ""


class _Tree:
    """Places, in an order in which each comes after the one that it is below."""

    def __init__(self, places: list[_Place]) -> None:
        self._places = places
        self._walk: list[int] = []  # the index of a place that is entered, and ~index when it is left
        self.whole_ns = sum(place.self_ns for place in places)
        self.own: dict[str, int] = {}
        for place in places:
            if place.key:
                self.own[place.key] = self.own.get(place.key, 0) + place.self_ns
        below: dict[int, list[int]] = {}
        for index, place in enumerate(places):
            below.setdefault(place.parent if 0 <= place.parent < index else -1, []).append(index)
        waiting = below.get(-1, [])[::-1]
        while waiting:
            index = waiting.pop()
            self._walk.append(index)
            if index >= 0:
                waiting += [~index, *below.get(index, [])[::-1]]

    def gains(self, chosen: set[str], *, with_covered: bool = False) -> tuple[dict[str, int], int]:
        """Return {function: time within it that lies in no chosen function}, a recursion counted once, and that of all.

        What packs count is left out, unless `with_covered`.
        """
        places = self._places
        left = [0 if place.is_covered and not with_covered else place.self_ns for place in places]
        rest_ns = 0
        for index in range(len(places) - 1, -1, -1):
            place = places[index]
            if place.key and place.key in chosen:
                left[index] = 0
            elif 0 <= place.parent < index:
                left[place.parent] += left[index]
            else:
                rest_ns += left[index]
        gains: dict[str, int] = {}
        around: dict[str, int] = {}
        chosen_around = 0
        for index in self._walk:
            key = places[index if index >= 0 else ~index].key
            if not key:
                continue
            step = 1 if index >= 0 else -1
            if key in chosen:
                chosen_around += step
                continue
            if index >= 0 and not chosen_around and not around.get(key):
                gains[key] = gains.get(key, 0) + left[index]
            around[key] = around.get(key, 0) + step
        return gains, rest_ns


def choose(tree: _Tree) -> list[str]:
    """Return the functions to watch, in the order in which they were chosen."""
    own, whole_ns = tree.own, tree.whole_ns
    total, _ = tree.gains(set(), with_covered=True)
    holds_all = {key for key in total if total[key] >= _HOLDS_ALL * whole_ns}
    least = {True: _LEAST_SELF_OF_ALL * whole_ns, False: _LEAST_SELF * whole_ns}
    by_self = [key for key in sorted(own, key=lambda key: (-own[key], key)) if own[key] >= least[key in holds_all]]
    chosen = by_self[:_MOST_BY_SELF]
    while True:
        gains, rest_ns = tree.gains(set(chosen))
        if not gains or rest_ns <= (1 - _ENOUGH) * whole_ns:
            return chosen
        telling = [key for key in gains if key not in holds_all and gains[key] >= _LEAST_GAIN * whole_ns]
        if telling and len(chosen) < MOST - 1:
            chosen.append(max(telling, key=lambda key: (gains[key], key)))
        else:  # what holds the most, whatever it tells
            best = max(gains, key=lambda key: (gains[key], -total[key], key))
            if len(chosen) >= MOST or not gains[best]:
                return chosen
            chosen.append(best)


def _tree_of_samples(run: Run) -> tuple[list[_Place], dict[str, str]]:
    """Return the sampled stacks as a tree, and the places of functions of the project."""
    tree: list[_Place] = []
    known: dict[tuple[int, str], int] = {}
    places: dict[str, str] = {}
    for stack in run.sampled_stacks:
        at = -1
        for number in stack.frames:
            frame = run.sampled_frames[number]
            module = _module_of(frame.file, run.project)
            key = f"{module}:{frame.function}" if module and _NESTED not in frame.function.replace("<locals>", "") else ""
            if key:
                places.setdefault(key, f"{frame.file}:{frame.first_line}")
            place = (at, key or f"{frame.file}:{frame.function}")
            if place not in known:
                known[place] = len(tree)
                tree.append(_Place(at, key, 0))
            at = known[place]
        if at >= 0:
            tree[at].self_ns += stack.samples
    return tree, places


def _module_of(file: str, project: str) -> str:
    """Return the module that a file of the project is as a rule, "" for any other file."""
    path = PurePath(file)
    if not project or path.suffix != ".py" or not path.is_relative_to(project):
        return ""
    parts = list(path.relative_to(project).with_suffix("").parts)
    if any(part.startswith(".") or part in ("site-packages", "dist-packages") for part in parts):
        return ""
    if parts[:1] == ["src"]:
        del parts[0]
    if parts[-1:] == ["__init__"]:
        del parts[-1]
    return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else ""
