"""Where the time of own functions went, of a run with --own: a short call tree, and the functions with most self time.

In: the nodes of a run. Out: an Own, or None where a run was none of that kind. Pure computation. What libraries do is the
self time of the own function that calls them, unless packs count it: then it is a row of its kind below that function.

A recursion is one row: what is called in it stands below the outermost call. Functions that do nothing but call the next one are
joined with it. What is below a hundredth of the time, or has no room, is added up.
"""

from __future__ import annotations

from hookmon.collector.counters import Walk, walk_of
from hookmon.collector.store import Node, Run
from hookmon.core.plan import OWN_OPTION
from hookmon.core.record import Record, field
from hookmon.report.texts import count, location

MOST_ROWS = 19
MOST_FUNCTIONS = 5
FIRST = "first: of a function that is not worth its cost; later calls are in the time of their callers"

_LEAST_SHARE = 0.01
_LEAST_REST = 0.02
_DEEPEST = 40
_PASSES_ON = 0.97  # of its time to one other function: then it is joined with that one


class OwnRow(Record, slots=True):
    """One row of the tree: a function of the program's own, what a pack counts of one kind, or, with `hidden`, all smaller ones.

    `depth` is 0 for the outermost. `names` are the functions that are joined, the last of which `self_ns` and `calls` are
    of. Shares are of the time of all watched calls. `given_up` says that only the first calls were counted.
    `hidden` is how many rows are added up in it, 0 for any other.
    """

    depth: int
    names: list[str]
    kind: str
    target: str
    location: str
    calls: int
    total_ns: int
    self_ns: int
    share: float
    is_recursive: bool = False
    hidden: int = 0
    given_up: bool = False


class OwnFunction(Record, slots=True):
    """One function with what it did itself, wherever it was called. Shares are of the time of all watched calls.

    `given_up` says that only its first calls were counted: later ones are in the time of their callers.
    """

    name: str
    target: str
    location: str
    calls: int
    total_ns: int
    self_ns: int
    self_share: float
    total_share: float
    untimed: int = 0
    given_up: bool = False


class Own(Record, slots=True):
    """The time in watched calls, `whole_ns`; its tree; and all functions, those with most self time first."""

    whole_ns: int
    tree: list[OwnRow] = field(default_factory=list)
    functions: list[OwnFunction] = field(default_factory=list)


class _Entry:
    """A place in the folded tree."""

    __slots__ = (
        "calls",
        "children",
        "given_up",
        "is_known",
        "is_recursive",
        "kind",
        "name",
        "parent",
        "self_ns",
        "target",
        "total_ns",
    )

    def __init__(self, parent: _Entry | None, name: str, kind: str, target: str) -> None:
        self.parent = parent
        self.name = name
        self.kind = kind
        self.target = target
        self.children: dict[tuple[str, str], _Entry] = {}
        self.calls = self.total_ns = self.self_ns = 0
        self.is_recursive = self.is_known = self.given_up = False

    def child(self, name: str, kind: str, target: str) -> _Entry:
        found = self.children.get((name, target))
        if found is None:
            found = self.children[name, target] = _Entry(self, name, kind, target)
        return found


def own_of(run: Run, walk: Walk | None = None) -> Own | None:
    """Return where the time of a run with --own went; None for any other run."""
    if not any(watch.get("own") for watch in run.plan):
        return None
    walk = walk_of(run.nodes) if walk is None else walk
    functions = own_functions(run, walk)
    whole_ns = sum(max(0, node.self_ns) for node in run.nodes) or 1
    for row in functions:
        row.self_share, row.total_share = row.self_ns / whole_ns, row.total_ns / whole_ns
    return Own(whole_ns, _rows(_fold(run, walk), whole_ns, run), functions)


def own_functions(run: Run, walk: Walk | None = None) -> list[OwnFunction]:
    """Return the functions that are watched by themselves and not by packs, most self time first, without their shares."""
    found: dict[tuple[str, str], OwnFunction] = {}
    for index, is_outermost in walk_of(run.nodes) if walk is None else walk:
        node = run.nodes[index]
        if not run.places.get(node.target):
            continue
        row = found.get((node.name, node.target))
        if row is None:
            place = location(run.places[node.target], run.project)
            row = found[node.name, node.target] = OwnFunction(node.name, node.target, place, 0, 0, 0, 0.0, 0.0)
        row.calls += node.calls
        row.untimed += node.untimed
        row.given_up = row.given_up or node.given_up
        row.self_ns += node.self_ns
        if is_outermost:
            row.total_ns += node.total_ns
    return sorted(found.values(), key=lambda row: (-row.self_ns, -row.total_ns, row.target))


def _fold(run: Run, walk: Walk) -> _Entry:
    """Return the root of the tree in which recursions are one entry, and what packs count is one of its kind.

    A call of a pack with own functions below it, as a request, stays what it is. The time of an entry is what was done in it
    and below it in this tree: nothing is in two entries that are side by side.
    """
    nodes = run.nodes
    leads_to_own = [bool(run.places.get(node.target)) for node in nodes]
    for index in range(len(nodes) - 1, -1, -1):
        if leads_to_own[index] and 0 <= nodes[index].parent < index:
            leads_to_own[nodes[index].parent] = True
    root = _Entry(None, "", "", "")
    entries: list[_Entry] = [root] * len(nodes)
    made: list[_Entry] = []
    for index, is_outermost in walk:
        node = nodes[index]
        above = entries[node.parent] if 0 <= node.parent < index else root
        if leads_to_own[index]:
            outer = None if is_outermost else _around(above, node)
            entry = outer or above.child(node.name, node.kind, node.target)
            entry.is_recursive = entry.is_recursive or outer is not None
            entry.given_up = entry.given_up or node.given_up
            entry.calls += node.calls
        elif above.target or above is root:
            entry = above.child(node.kind, node.kind, "")
            entry.calls += node.calls
        else:  # a part of what packs count
            entry = above
        entry.self_ns += max(0, node.self_ns)
        entries[index] = entry
        if not entry.is_known:
            entry.is_known = True
            made.append(entry)
    for entry in reversed(made):  # each after those below it
        entry.total_ns += entry.self_ns
        if entry.parent is not None:
            entry.parent.total_ns += entry.total_ns
    return root


def _around(entry: _Entry | None, node: Node) -> _Entry | None:
    while entry is not None:
        if (entry.name, entry.target) == (node.name, node.target):
            return entry
        entry = entry.parent
    return None


def _rows(root: _Entry, whole_ns: int, run: Run) -> list[OwnRow]:
    """Return as many rows as there is room for, the larger ones: the least share is raised until they fit."""
    least = _LEAST_SHARE
    rows = _rows_from(root, 0, least * whole_ns, whole_ns, run)
    while len(rows) > MOST_ROWS and least < 1:
        least *= 1.25
        rows = _rows_from(root, 0, least * whole_ns, whole_ns, run)
    return rows


def _rows_from(above: _Entry, depth: int, least_ns: float, whole_ns: int, run: Run) -> list[OwnRow]:
    """Return the rows below an entry, those with most time first, and one for what is smaller than the least."""
    rows: list[OwnRow] = []
    small: list[_Entry] = []
    for child in _by_time(above):
        if child.total_ns < least_ns or depth >= _DEEPEST:
            small.append(child)
            continue
        entry, names = child, [child.name]
        while (heir := _heir(entry)) is not None:
            entry = heir
            names.append(entry.name)
        place = location(run.places.get(entry.target, ""), run.project)
        figures = (entry.calls, entry.total_ns, entry.self_ns, entry.total_ns / whole_ns)
        rows.append(OwnRow(depth, names, entry.kind, entry.target, place, *figures, entry.is_recursive, given_up=entry.given_up))
        rows += _rows_from(entry, depth + 1, least_ns, whole_ns, run)
    return rows + _rest(small, depth, whole_ns)


def _by_time(entry: _Entry) -> list[_Entry]:
    return sorted(entry.children.values(), key=lambda child: (-child.total_ns, child.name, child.target))


def _heir(entry: _Entry) -> _Entry | None:
    """Return the one function to which a function passes nearly all of its time, None where there is none."""
    if entry.is_recursive or not entry.children:
        return None
    most = max(entry.children.values(), key=lambda child: child.total_ns)
    passes_on = entry.total_ns > 0 and most.total_ns >= _PASSES_ON * entry.total_ns
    return most if passes_on and most.target else None


def _rest(entries: list[_Entry], depth: int, whole_ns: int) -> list[OwnRow]:
    """Return the row of what is too small to be shown, none where that is next to nothing."""
    total_ns = sum(entry.total_ns for entry in entries)
    if total_ns < _LEAST_REST * whole_ns:
        return []
    calls = sum(entry.calls for entry in entries)
    share = total_ns / whole_ns
    return [OwnRow(depth, [], "", "", "", calls, total_ns, 0, share, hidden=len(entries))]


def name_of(row: OwnRow) -> str:
    """Return the name of a row for a reader: of joined functions the first and the last ones."""
    names = row.names if len(row.names) < 3 else [row.names[0], "…", row.names[-1]]
    return " > ".join(names) + " (recursive)" * row.is_recursive


def calls_of(row: OwnRow | OwnFunction) -> str:
    """Return how often a function was called for a reader; of one that was given up, that those are the first."""
    return f"first {count(row.calls)}" if row.given_up else count(row.calls)


def short_location(place: str) -> str:
    """Return a place without the way to its package's folder, where it is outside of the project."""
    parts = place.split("/")
    return "/".join(parts[-2:]) if place.startswith("/") and len(parts) > 3 else place


def is_own_run(run: Run) -> bool:
    """Say whether a run was one with --own."""
    return OWN_OPTION in run.options or any(watch.get("own") for watch in run.plan)
