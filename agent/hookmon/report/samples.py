"""Sampled stacks as rows: where transactions and watched calls compute, line by line; and which functions do, watched or not.

In: the nodes and the sampled stacks of a run. Out: rows of samples. These are no counts: a share of samples is a share of what
computed while the run lasted, and what waited is in none of them. No row mixes them with counted figures.

A stack says which functions it is in, not for whom. Which call it belongs to is told by the call tree: its watched functions,
from the outermost on, lead down the tree. Where they lead to one node, the transaction is known for sure; where routes share all
of them, the row names the routes that it may be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from hookmon.collector.store import Run, SampledFrame
from hookmon.core.record import Record, field
from hookmon.report.texts import location
from hookmon.report.transactions import MAIN, belongings

MOST_LINES = 10
_MOST_CALLS = 5
_ROOT = -1
_CALLBACK = "callback "  # no target begins so
_INSTALLED = ("/site-packages/", "/dist-packages/")


class LineRow(Record, slots=True):
    """A line that was at work: `share` is of the samples of its row.

    `caller` is the program's own line that led there, "" where it is that line. `calls` are watched calls made from either that
    have no stack of their own, as those of C functions: their time may be in the samples.
    """

    location: str
    function: str
    samples: int
    share: float
    caller: str
    calls: list[str]


class SampledCall(Record, slots=True):
    """The samples that fall under one watched call: it is the innermost one on their stacks.

    `transactions` are those that they may belong to: one where that is known, `(main)` for what is in none. `names` are those of
    the call, more than one where they share a function; none for what is outside of all watched calls. `share` is of all samples.
    """

    transactions: list[str]
    names: list[str]
    kind: str
    target: str
    samples: int
    share: float
    lines: list[LineRow]  # most samples first

    @property
    def transaction(self) -> str:
        """The transaction in words."""
        return _one_of(self.transactions)

    @property
    def name(self) -> str:
        """The call in words."""
        return _one_of(self.names) if self.names else "(no watched call)"


class FunctionRow(Record, slots=True):
    """One function, watched or not. `self_samples` are those in which it was the innermost one, `total_samples` those it was in.

    `line` is its first one, 0 where that is not known; `target` that of its watch, "" for none. Shares are of all samples.
    """

    function: str
    file: str
    line: int
    target: str
    self_samples: int
    self_share: float
    total_samples: int
    total_share: float


class Sampling(Record, slots=True):
    """All samples of a run. `lost` could not be read, of `mended` ones a part of the stack was put back.

    The samples stand for `ready_ns`, the time in which threads had a processor or were ready for one. `cpu_ns` is what their
    processes had: on a busy machine much less.
    """

    rate: int
    processes: int
    samples: int
    lost: int
    mended: int
    ready_ns: int
    cpu_ns: int
    calls: list[SampledCall] = field(default_factory=list)  # most samples first
    functions: list[FunctionRow] = field(default_factory=list)  # most self samples first


_FunctionKey = tuple[str, str, int]  # qualified name, file, first line
_Place = tuple[str, str, str, tuple[str, ...]]  # location, function, location of the caller, calls of its line


def sampling(run: Run) -> Sampling:
    """Return the samples of a run, without rows where there are none."""
    rows = run.sampled_processes
    samples = sum(stack.samples for stack in run.sampled_stacks)
    found = Sampling(
        max((row.rate for row in rows), default=0),
        sum(bool(row.samples) for row in rows),
        samples,
        sum(row.lost for row in rows),
        sum(row.mended for row in rows),
        sum(row.samples * 1_000_000_000 // row.rate for row in rows if row.rate),
        sum(process.cpu_ns for process in run.processes if process.pid in {row.pid for row in rows if row.samples}),
    )
    if samples:
        found.calls = sampled_calls(run)
        found.functions = functions(run)
    return found


def functions(run: Run) -> list[FunctionRow]:
    """Return all functions that were sampled, most self samples first, then most samples."""
    own: Counter[_FunctionKey] = Counter()
    total: Counter[_FunctionKey] = Counter()
    for stack in run.sampled_stacks:
        keys = [_function(run.sampled_frames[at]) for at in stack.frames]
        own[keys[-1]] += stack.samples
        for key in set(keys):
            total[key] += stack.samples
    whole = sum(own.values()) or 1
    watched = _Watched(run)
    rows = []
    for key, samples in total.items():
        target = watched.target_of(SampledFrame(key[0], key[1], key[2], key[2]))
        rows.append(FunctionRow(*key, target, own[key], own[key] / whole, samples, samples / whole))
    return sorted(rows, key=lambda row: (-row.self_samples, -row.total_samples, row.file, row.line, row.function))


def _function(frame: SampledFrame) -> _FunctionKey:
    return frame.function, frame.file, frame.first_line


def sampled_calls(run: Run) -> list[SampledCall]:
    """Return a row for each watched call, and the transactions it may belong to, that was the innermost one of a sample."""
    tree = _CallTree(run)
    found: dict[tuple[tuple[str, ...], tuple[str, ...], str, str], Counter[_Place]] = {}
    for stack in run.sampled_stacks:
        frames = [run.sampled_frames[at] for at in stack.frames]
        nodes, depth = tree.find(frames)
        key = (tree.transactions_of(nodes), tree.names_of(nodes), *tree.target_of(nodes))
        place = _place(frames[depth:] or frames, run.project, tree)
        found.setdefault(key, Counter())[place] += stack.samples
    whole = sum(places.total() for places in found.values()) or 1
    rows = []
    for (transactions, names, kind, target), places in found.items():
        samples = places.total()
        lines = [
            LineRow(where, function, times, times / samples, caller, list(calls))
            for (where, function, caller, calls), times in sorted(places.items(), key=lambda pair: (-pair[1], pair[0]))
        ]
        rows.append(SampledCall(list(transactions), list(names), kind, target, samples, samples / whole, lines))
    return sorted(rows, key=lambda row: (-row.samples, row.transactions, row.names))


def _place(frames: list[SampledFrame], project: str, tree: _CallTree) -> _Place:
    """Return the line that was at work, and the program's own line that led there. `frames` begin with the watched function."""
    last = frames[-1]
    if not last.file:  # what stands for rare stacks
        return last.function, last.function, "", ()
    own = next((frame for frame in reversed(frames) if _is_of_program(frame.file, project)), None)
    caller = "" if own is None or own is last else _location(own, project)
    sites = {f"{frame.file}:{frame.line}" for frame in (last, own) if frame is not None}
    return _location(last, project), last.function, caller, tree.calls_from(sites)


def _is_of_program(file: str, project: str) -> bool:
    return bool(project) and file.startswith(project.rstrip("/") + "/") and not any(part in file for part in _INSTALLED)


def _location(frame: SampledFrame, project: str) -> str:
    return location(f"{frame.file}:{frame.line}", project) if frame.line else frame.file


def _one_of(names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return shown if len(names) < 2 else f"one of {shown}"


def callback_targets(run: Run) -> set[str]:
    """Return the targets of registrations: their calls are those of the callbacks, which are other functions."""
    return {f"{watch['module']}:{call}" for watch in run.plan if "hook" in watch for call in watch["calls"]}


class _Watched:
    """Which sampled functions are watched: by file and first line, where that is not known by module and qualified name."""

    def __init__(self, run: Run) -> None:
        targets = {node.target for node in run.nodes if node.target and not node.detached} - callback_targets(run)
        self._by_place = {run.places[target]: target for target in sorted(targets) if target in run.places}
        self._by_name: dict[str, list[str]] = {}
        for target in sorted(targets):
            self._by_name.setdefault(target.partition(":")[2], []).append(target)
        self._places = run.places
        self._found: dict[_FunctionKey, str] = {}

    def target_of(self, frame: SampledFrame) -> str:
        """Return the target whose function a frame is of, "" for none."""
        key = _function(frame)
        target = self._found.get(key)
        if target is None:
            target = self._found[key] = self._by_place.get(f"{frame.file}:{frame.first_line}", "") or self._named(frame)
        return target

    def _named(self, frame: SampledFrame) -> str:
        for target in self._by_name.get(frame.function, ()):
            place = self._places.get(target, "").rpartition(":")[0]
            module = target.partition(":")[0].replace(".", "/")
            if place and frame.first_line:
                continue  # it would have been found by its line
            if place == frame.file or (not place and frame.file.endswith((f"/{module}.py", f"/{module}/__init__.py"))):
                return target
        return ""


class _CallTree:
    """The call tree, to be walked down by the watched functions of a stack."""

    def __init__(self, run: Run) -> None:
        self._nodes = run.nodes
        self._frames = run.sampled_frames
        self._watched = _Watched(run)
        self._entries, _ = belongings(run.nodes)
        self._by_target: dict[str, list[int]] = {}  # and by _CALLBACK and the name of the function
        registrations = callback_targets(run)
        for at, node in enumerate(run.nodes):
            if node.target and not node.detached:
                is_callback = node.target in registrations
                key = f"{_CALLBACK}{node.name.rpartition(' ')[2]}" if is_callback else node.target
                self._by_target.setdefault(key, []).append(at)
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def find(self, frames: list[SampledFrame]) -> tuple[frozenset[int], int]:
        """Return the nodes of the innermost watched call on a stack, none for no call, and at which frame that begins.

        Several nodes are what functions alone cannot tell apart. A watched function that is not counted where it stands, as
        within another call of its client, is passed over.
        """
        nodes: frozenset[int] = frozenset()
        depth = 0
        for at, frame in enumerate(frames):
            target = self._watched.target_of(frame) or self._callback(frame, frames[at - 1] if at else None)
            if not target:
                continue
            below = self._step(nodes, target)
            if below:
                nodes, depth = below, at
        return nodes, depth

    def _callback(self, frame: SampledFrame, caller: SampledFrame | None) -> str:
        """Return what stands for a callback, "" where a frame is none: it has its name, and is called by who calls callbacks."""
        key = f"{_CALLBACK}{frame.function}"
        sites = [self._nodes[at].call_site for at in self._by_target.get(key, ())]
        is_called = caller is not None and any(site.rpartition(":")[0] == caller.file for site in sites)
        return key if is_called else ""

    def _step(self, above: frozenset[int], target: str) -> frozenset[int]:
        key = (above, target)
        found = self._steps.get(key)
        if found is None:
            found = self._steps[key] = frozenset(self._below(above, target))
        return found

    def _below(self, above: frozenset[int], target: str) -> list[int]:
        """Return the nodes of a target right below others, else anywhere below, else where a thread or task begins."""
        places = self._by_target.get(target, [])
        if above:
            right = [at for at in places if self._nodes[at].parent in above]
            deeper = right or [at for at in places if not above.isdisjoint(self._line(at))]
            recursive = deeper or [at for at in places if at in above]  # a recursion may share one node
            if recursive:
                return recursive
        begun = [at for at in places if self._begins_lane(at)]
        return begun if begun or above else places

    def _begins_lane(self, at: int) -> bool:
        parent = self._nodes[at].parent
        return parent < 0 or bool(self._nodes[parent].detached)

    def _line(self, at: int) -> Iterator[int]:
        at = self._nodes[at].parent
        while at >= 0:
            yield at
            at = self._nodes[at].parent

    def transactions_of(self, nodes: frozenset[int]) -> tuple[str, ...]:
        """Return the names of the transactions that nodes belong to."""
        entries = {self._entries[at] for at in nodes}
        return tuple(sorted({self._nodes[entry].name if entry >= 0 else MAIN for entry in entries})) or (MAIN,)

    def names_of(self, nodes: frozenset[int]) -> tuple[str, ...]:
        """Return the names of nodes."""
        return tuple(sorted({self._nodes[at].name for at in nodes}))

    def target_of(self, nodes: frozenset[int]) -> tuple[str, str]:
        """Return the kind and the target of nodes, which share both."""
        node = self._nodes[min(nodes)] if nodes else None
        return (node.kind, node.target) if node is not None else ("", "")

    def calls_from(self, sites: set[str]) -> tuple[str, ...]:
        """Return the names of watched calls that are made from lines and whose functions are on no stack."""
        return tuple(sorted({name for site in sites for name in self._unseen.get(site, ())})[:_MOST_CALLS])

    @cached_property
    def _unseen(self) -> dict[str, list[str]]:
        """The names of calls by the line that makes them, of those functions that were in no sample."""
        seen = {self._watched.target_of(frame) for frame in self._frames}
        found: dict[str, list[str]] = {}
        for node in self._nodes:
            if node.call_site and node.target not in seen and not node.part:
                found.setdefault(node.call_site, []).append(node.name)
        return found


class Branch(Record, slots=True):
    """One function at one place of the stacks. `parent` is an index into the branches, -1 for none."""

    parent: int
    function: str
    file: str
    line: int  # the first one of the function, 0 where that is not known
    kind: str  # of its watch, "" for none
    samples: int = 0  # those in which it was there
    self_samples: int = 0


def branches(run: Run) -> list[Branch]:
    """Return the stacks as a tree of functions, a parent before its children: what a flame graph of samples draws."""
    kinds = {node.target: node.kind for node in run.nodes if node.target}
    watched = _Watched(run)
    found: list[Branch] = []
    places: dict[tuple[int, _FunctionKey], int] = {}
    for stack in run.sampled_stacks:
        at = _ROOT
        for frame in (run.sampled_frames[number] for number in stack.frames):
            key = (at, _function(frame))
            if key not in places:
                places[key] = len(found)
                found.append(Branch(at, *key[1], kinds.get(watched.target_of(frame), "")))
            at = places[key]
            found[at].samples += stack.samples
        found[at].self_samples += stack.samples
    return found
