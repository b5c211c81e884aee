"""Sampled stacks of a run, added up: where the program computed, line by line.

In: stacks as a sampler outside the program has read them. Out: rows for the run file, bounded in number. Runs in the launcher;
pure computation.

A sample is one thread that was running, or ready to, at one moment. Threads that waited are in no sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hookmon.core.record import NamedTuple, Record, field

TABLES = ("sampled_processes", "sampled_frames", "sampled_stacks")
"""Of the run file."""

MOST_STACKS = 20_000
MOST_FRAMES = 40_000
_DEEPEST = 120

_PACKAGE = Path(__file__).resolve().parents[1]
_OWN = (
    "<frozen importlib._bootstrap of hookmon>",  # probe.base.frames.FILENAME
    *(f"{_PACKAGE}/{name}" for name in ("probe/", "packs/", "core/", "adapter.py")),
    *(f"{folder}/hookmon_bootstrap/" for folder in (_PACKAGE.parent, _PACKAGE.parents[1] / "bootstrap")),
)
"""What the files of our frames begin with."""

_IMPORTLIB = "<frozen importlib._bootstrap_external>"
_OF_THE_FINDER = ("Finder.", "_make_stand_ins.")  # probe.finder.among_importlib gives its frames the name of importlib's file


class Frame(NamedTuple):
    """One level of a stack: the function (its qualified name, where the sampler knows it), its file, and the line it was at."""

    function: str
    file: str
    line: int


OTHER = Frame("(other)", "", 0)
"""Stands for rare stacks, for which there was no room. Nothing else has no file."""

_Function = tuple[str, str]


class SampledProcess(Record):
    """How one process was sampled. `lost` are samples that could not be read, `mended` those of a stack of which a part was lost.

    `reason` says why there are none, or no more, "" for nothing.
    """

    pid: int
    rate: int  # a second
    samples: int = 0
    lost: int = 0
    mended: int = 0
    reason: str = ""


class SampledFrame(Record):
    """A Frame, and the first line of its function, 0 where that is not known."""

    function: str
    file: str
    line: int
    first_line: int = 0


class SampledStack(Record):
    """How often a stack was seen: indexes into the sampled frames, the outermost first."""

    frames: list[int]
    samples: int


class Window(Record):
    """What was read of one process in some seconds: the stacks of all its threads, outermost frame first."""

    stacks: list[tuple[Frame, ...]] = field(default_factory=list)
    lost: int = 0


class Stacks:
    """The stacks of a run, each once, with how often it was seen."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Frame, ...]] = Counter()

    def add(self, window: Window) -> tuple[int, int]:
        """Add what was read of a process; return how many samples it has, and how many of them were mended."""
        kept = [stack for stack in map(_without_own, window.stacks) if stack]
        whole, mended = _mend(kept)
        self._counts.update(map(_shorten, whole))
        if len(self._counts) > MOST_STACKS:
            self._drop_rare()
        return len(kept), mended

    def _drop_rare(self) -> None:
        """Make room: the rarer half of the stacks becomes one."""
        others = self._counts.pop((OTHER,), 0)
        ranked = self._counts.most_common()
        self._counts = Counter(dict(ranked[: MOST_STACKS // 2]))
        self._counts[OTHER,] = others + sum(samples for _, samples in ranked[MOST_STACKS // 2 :])

    def rows(self) -> tuple[list[SampledFrame], list[SampledStack]]:
        """Return the frames and the stacks, those that were seen most often first."""
        numbers: dict[Frame, int] = {}
        stacks = []
        others = 0
        for stack, samples in self._counts.most_common():
            if len(numbers) + len(stack) > MOST_FRAMES:
                others += samples
                continue
            stacks.append(SampledStack([numbers.setdefault(frame, len(numbers)) for frame in stack], samples))
        if others:
            stacks.append(SampledStack([numbers.setdefault(OTHER, len(numbers))], others))
        return [SampledFrame(*frame) for frame in numbers], stacks


def _without_own(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Return a stack without frames of ours: those of the pure engine, and of what stands in for functions in C.

    So what such a function takes, and what we take, is at the line that calls.
    """
    return tuple(frame for frame in stack if not _is_own(frame))


def _is_own(frame: Frame) -> bool:
    is_finder = frame.file == _IMPORTLIB and frame.function.startswith(_OF_THE_FINDER)
    return is_finder or frame.file.startswith(_OWN)


def _shorten(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Return a stack in which a frame that repeats itself stands once, and that is no deeper than there is room for."""
    short = tuple(frame for at, frame in enumerate(stack) if not at or frame != stack[at - 1])
    return short if len(short) <= _DEEPEST else (*short[: _DEEPEST // 2], *short[-(_DEEPEST // 2) :])


def _mend(stacks: Sequence[tuple[Frame, ...]]) -> tuple[list[tuple[Frame, ...]], int]:
    """Put back what stacks have lost of their beginning; return the stacks, and how many had to be mended.

    The sampler does not stop the program. While it follows a stack from the innermost frame outwards, a generator or coroutine on
    it may be suspended: then the stack ends there. Its first function is one that others have in their midst, more often than at
    their beginning, and what they have above it is put above this one, as often as they have it.
    """
    first = Counter(_function(stack[0]) for stack in stacks)
    inside: Counter[_Function] = Counter()
    for stack in stacks:
        inside.update({_function(frame) for frame in stack[1:]} - {_function(stack[0])})
    torn = {function for function, times in first.items() if inside[function] > times}
    if not torn:
        return list(stacks), 0
    above: dict[_Function, Counter[tuple[Frame, ...]]] = {function: Counter() for function in torn}
    for stack in stacks:
        if _function(stack[0]) not in torn:
            _note_above(stack, above)
    used: dict[_Function, Counter[tuple[Frame, ...]]] = {function: Counter() for function in torn}
    found = []
    mended = 0
    for stack in stacks:
        function = _function(stack[0])
        if function in torn and above[function]:
            mended += 1
            found.append(_most_wanting(above[function], used[function]) + stack)
        else:
            found.append(stack)
    return found, mended


def _note_above(stack: tuple[Frame, ...], above: dict[_Function, Counter[tuple[Frame, ...]]]) -> None:
    """Note what a whole stack has above each function of interest, where that comes first."""
    seen = set()
    for at, frame in enumerate(stack):
        function = _function(frame)
        if function in above and function not in seen:
            seen.add(function)
            above[function][stack[:at]] += 1


def _most_wanting(weights: Counter[tuple[Frame, ...]], used: Counter[tuple[Frame, ...]]) -> tuple[Frame, ...]:
    """Return, and count as used, the one that has been used least for its weight: so all are used by their weights."""
    share = (used.total() + 1) / weights.total()
    best = max(weights, key=lambda above: weights[above] * share - used[above])
    used[best] += 1
    return best


def _function(frame: Frame) -> _Function:
    return frame.function, frame.file
