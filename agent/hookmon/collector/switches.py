"""Off and on while a run goes on: the switch on the control page of its run folder, and when it was off for what.

In: what is to be off, lines as of core.switches. Out: the page, which the processes of the run read at their next call; and a
file beside it, from which the report says when it was off. Whoever switches holds a lock: two are one after the other. Runs
on the launcher's side, in any process.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hookmon.collector import run_folder
from hookmon.collector.rows import BlindSpot
from hookmon.core import layout
from hookmon.core.errors import HookmonError
from hookmon.core.record import Record, asdict, field
from hookmon.core.switches import KEPT, OUT

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

FILE_NAME = run_folder.SWITCHED_NAME
"""JSON: {"off": {what: since when}, "stretches": [[what, from, until]], "earlier": {what: [times, ns, first from, last until]},
"out": {what: since when}, "kept": [what]}. The last two are what `hookmon reload` has taken out, and what stays of it.

`what` is a line of the page, "" for everything; moments are nanoseconds since 1970. Of many stretches the last are kept one by
one."""

_MOST_STRETCHES = 200
_MOST_EARLIER = 200
_LARGEST = 1 << 20
_WORD = struct.Struct("=Q")
_PAGE_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Switched(Record):
    """What of a run is off now, and what was. `off` has when it was switched off, in ns since 1970, by what it is; "": all."""

    off: dict[str, int] = field(default_factory=dict)
    stretches: list[tuple[str, int, int]] = field(default_factory=list)
    earlier: dict[str, list[int]] = field(default_factory=dict)
    out: dict[str, int] = field(default_factory=dict)  # what was taken out
    kept: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the lines of the page."""
        taken_out = [*(OUT + line for line in self.out), *(KEPT + line for line in self.kept if self.out)]
        return [*filter(None, self.off), *taken_out]

    def begin(self, what: str, now_ns: int) -> None:
        """Note that something is off from now on."""
        self.off.setdefault(what, now_ns)

    def end(self, what: str, now_ns: int) -> None:
        """Note that it is on again."""
        since_ns = self.off.pop(what, None)
        if since_ns is not None:
            self.stretches.append((what, since_ns, max(now_ns, since_ns)))
        while len(self.stretches) > _MOST_STRETCHES:
            self._add_up(*self.stretches.pop(0))

    def _add_up(self, what: str, from_ns: int, until_ns: int) -> None:
        if what not in self.earlier and len(self.earlier) >= _MOST_EARLIER:
            what = layout.OTHER_NAMES
        known = self.earlier.setdefault(what, [0, 0, from_ns, until_ns])
        self.earlier[what] = [known[0] + 1, known[1] + until_ns - from_ns, min(known[2], from_ns), max(known[3], until_ns)]

    def sums(self, now_ns: int) -> dict[str, list[int]]:
        """Return {what: [times, ns off, first from, last until]}; it is off still where the last is 0."""
        whole = Switched(earlier={what: list(known) for what, known in self.earlier.items()})
        for stretch in self.stretches:
            whole._add_up(*stretch)
        for what, since_ns in self.off.items():
            whole._add_up(what, since_ns, max(now_ns, since_ns))
            if what in whole.earlier:
                whole.earlier[what][3] = 0
        return whole.earlier


class Switch:
    """The switch of one run, by its run folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def off(self, lines: Iterable[str] = ()) -> Switched:
        """Switch targets off, or everything where none is given; return what is off then.

        Raises HookmonError where the run has no page to write to, as one of an older hookmon, or where it is full.
        """
        return self._change(list(lines), is_off=True)

    def on(self, lines: Iterable[str] = ()) -> Switched:
        """Switch on what is off, or only these lines of it; return what is off still.

        Raises HookmonError as `off` does, and where a line is none of those that are off.
        """
        return self._change(list(lines), is_off=False)

    def _change(self, lines: list[str], *, is_off: bool) -> Switched:
        with self._open() as descriptor:
            switched = read(self._folder)
            now_ns = time.time_ns()
            if not is_off and lines:
                unknown = [line for line in lines if line not in switched.off]
                if unknown or "" in switched.off:
                    raise HookmonError(_not_off(switched, unknown), code="not-off")
            before = [what for what in switched.off if not is_off and (not lines or what in lines)]
            for what in before:
                switched.end(what, now_ns)
            for what in (lines or [""]) if is_off else ():
                switched.begin(what, now_ns)
            self._put(descriptor, switched, is_first_written=is_off)
            return switched

    def take_out(self, lines: Iterable[str], kept: Iterable[str]) -> None:
        """Have targets off for good, but for those that `kept` takes; what was taken out before and is no more comes back.

        Raises HookmonError as `off` does.
        """
        with self._open() as descriptor:
            switched = read(self._folder)
            now_ns = time.time_ns()
            switched.out = {line: switched.out.get(line, now_ns) for line in lines}
            switched.kept = list(kept)
            self._put(descriptor, switched, is_first_written=True)

    def tell_plan(self, number: int) -> None:
        """Tell the processes that there is an addition to the plan, until `end_telling`. Raises HookmonError as `off` does."""
        with self._open() as descriptor:
            _put(descriptor, layout.CONTROL_PLAN, number)
            _set(descriptor, read(self._folder), has_plan=True)

    def end_telling(self) -> None:
        """Let calls ask no more for an addition that all processes have taken. Raises HookmonError as `off` does."""
        with self._open() as descriptor:
            _set(descriptor, read(self._folder), has_plan=False)

    def _put(self, descriptor: int, switched: Switched, *, is_first_written: bool) -> None:
        if sum(len(line.encode()) + 1 for line in switched.lines()) > layout.MOST_OFF_BYTES:
            raise HookmonError("so many names cannot be off at once: name fewer, or switch everything off", code="not-switched")
        if is_first_written:  # so that who finds less finds why
            self._write(switched)
        _set(descriptor, switched)
        if not is_first_written:
            self._write(switched)

    @contextmanager
    def _open(self) -> Iterator[int]:
        try:
            descriptor = os.open(self._folder / layout.CONTROL_NAME, _PAGE_FLAGS)
        except OSError as error:
            raise HookmonError(f"the run cannot be switched: {error.strerror}: {self._folder}", code="not-switched") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if (
                os.fstat(descriptor).st_size != layout.PAGE_BYTES
                or _word(descriptor, layout.CONTROL_MAGIC) != layout.CONTROL_IS_OURS
            ):
                raise HookmonError(f"the run cannot be switched: it has no page for that: {self._folder}", code="not-switched")
            yield descriptor
        finally:
            os.close(descriptor)

    def _write(self, switched: Switched) -> None:
        """Write down when it was off for what. Raises HookmonError."""
        unfinished = self._folder / f"{FILE_NAME}.new"
        content = asdict(switched)
        try:
            with suppress(FileNotFoundError):
                unfinished.unlink()  # of one who was killed
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
            unfinished.replace(self._folder / FILE_NAME)
        except OSError as error:
            raise HookmonError(f"the run cannot be switched: {error.strerror}: {unfinished}", code="not-switched") from error


def _set(descriptor: int, switched: Switched, *, has_plan: bool | None = None) -> None:
    """Write the page. Meanwhile nothing is off, and a process reads nothing half. `has_plan`: None leaves that as it is."""
    if has_plan is None:
        has_plan = bool(_word(descriptor, layout.CONTROL_SWITCH) & layout.SWITCH_PLAN)
    number = _word(descriptor, layout.CONTROL_SWITCHED) + 1
    _put(descriptor, layout.CONTROL_SWITCHED, number)
    state = number * layout.SWITCH_STEP | (layout.SWITCH_PLAN if has_plan else 0)
    text = "\n".join(switched.lines()).encode()
    if "" in switched.off:  # the rest is of no account then
        state |= layout.SWITCH_ALL_OFF
    elif text:
        _put(descriptor, layout.CONTROL_SWITCH, state | layout.SWITCH_CHANGING)
        os.pwrite(descriptor, text, 8 * layout.CONTROL_OFF)
        _put(descriptor, layout.CONTROL_OFF_BYTES, len(text))
    elif has_plan:
        _put(descriptor, layout.CONTROL_OFF_BYTES, 0)
    else:
        state = 0
    _put(descriptor, layout.CONTROL_SWITCH, state)


def _put(descriptor: int, word: int, value: int) -> None:
    os.pwrite(descriptor, _WORD.pack(value), 8 * word)


def _word(descriptor: int, word: int) -> int:
    (value,) = _WORD.unpack(os.pread(descriptor, 8, 8 * word))
    return int(value)


def read(folder: Path) -> Switched:
    """Return what of a run is off and was; nothing where nobody has switched it, or its folder is gone or holds nonsense."""
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        descriptor = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            content: Any = json.loads(file.read(_LARGEST))
        off = {str(what): int(since) for what, since in content["off"].items()}
        stretches = [(str(what), int(begun), int(ended)) for what, begun, ended in content["stretches"]]
        earlier = {str(what): [int(times), int(ns), int(a), int(b)] for what, (times, ns, a, b) in content["earlier"].items()}
        out = {str(what): int(since) for what, since in content.get("out", {}).items()}
        return Switched(off, stretches, earlier, out, [str(line) for line in content.get("kept", [])])
    return Switched()


def blind_spots(folder: Path) -> list[BlindSpot]:
    """Return what a report has to say of it: a name that was off has fewer calls than there were."""
    switched = read(folder)
    spots = [BlindSpot("off", describe(what, *known)) for what, known in switched.sums(time.time_ns()).items()]
    left = "hookmon reload has taken it out of the running program, and what began later is not counted"
    return spots + [BlindSpot("reloaded", f"{what}: at {moment(ns)} {left}") for what, ns in switched.out.items()]


def describe(what: str, times: int, ns: int, first_ns: int, last_ns: int) -> str:
    """Return in a sentence that something was off, so often and so long; `last_ns` 0 says that it still is."""
    name = what or "everything"
    until = f"to {moment(last_ns)}" if last_ns else "on"
    if times == 1:
        return f"{name} was off from {moment(first_ns)} {until}, {ns / 1e9:.3g} s: calls that began then are not counted"
    stretches = f"{times:,} times from {moment(first_ns)} {until}, {ns / 1e9:.3g} s together"
    return f"{name} was off {stretches}: calls that began then are not counted"


def moment(ns: int) -> str:
    """Return a moment since 1970 as the clock on the wall shows it, with the day."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ns / 1e9))


def _not_off(switched: Switched, unknown: list[str]) -> str:
    if "" in switched.off:
        return "everything is off: it can only be switched on as a whole"
    there = ", ".join(switched.off) or "nothing"
    return f"{', '.join(unknown)} is not off; off is: {there}"
