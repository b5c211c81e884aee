"""Figures and foreign text as people read them. Standard library only, so that the error path stays light."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import PurePath


def inert(text: str) -> str:
    """Return text with everything that a terminal could act on written out as an escape.

    Control characters, line ends, direction marks, lone surrogates and unassigned characters: all that Unicode does not
    call printable. In a log of GitHub's, nothing that its runner could act on either.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return without_commands(text) if _IS_FOR_GITHUB else text


_IS_FOR_GITHUB = os.environ.get("GITHUB_ACTIONS") == "true"


def without_commands(text: str) -> str:
    """Return lines without workflow commands: `::name::` at the beginning, behind blanks, and `##[name]` anywhere.

    Source: ActionCommand.cs of GitHub's runner.
    """
    if not _IS_FOR_GITHUB or ("::" not in text and "##[" not in text):
        return text
    return re.sub(r"^(\s*):(?=:)", r"\1: ", text, flags=re.MULTILINE).replace("##[", "# #[")


def inert_json(text: str) -> str:
    """Return JSON that means the same and has no workflow command in it."""
    return text.replace("##[", r"#\u0023[")


def location(call_site: str, project: str) -> str:
    """Return a call site, "path:line", relative to the project when it lies inside."""
    path, colon, line = call_site.rpartition(":")
    if not colon:
        return ""
    if "//" not in path and "/./" not in path:  # ten times as fast as below
        inside = project and path.startswith(f"{project.rstrip('/')}/")
        return f"{path[len(project.rstrip('/')) + 1 :]}:{line}" if inside else call_site
    try:
        return f"{PurePath(path).relative_to(project)}:{line}" if project else call_site
    except ValueError:
        return call_site


def short_place(place: str) -> str:
    """Return a place without the way to the folder of installed packages, or to that of the standard library.

    Those are `lib/python3.11/site-packages` or `dist-packages`, and `lib/python3.11`.
    """
    for folder in ("/site-packages/", "/dist-packages/"):
        _, found, tail = place.partition(folder)
        if found:
            return f"{folder[1:]}{tail}"
    library = _STANDARD_LIBRARY.search(place)
    return place[library.start(1) :] if library else place


_STANDARD_LIBRARY = re.compile(r"^/.*/lib(?:32|64)?/(python3\.\d+t?/)")


def shorten(text: str, most: int) -> str:
    """Return a text cut in the middle: names of tests and statements differ at their ends."""
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def on_one_line(text: str) -> str:
    """Return a text of several lines as one inert line."""
    return inert("; ".join(line.strip() for line in text.split("\n") if line.strip()))


def three_digits(value: float) -> str:
    """Return a positive number below 1,000 with three significant digits."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def duration(duration_ns: int) -> str:
    """Return a duration with three significant digits and its unit: `640 ns`, `1.20 ms`, `31.0 s`, `2 min 05 s`."""
    if duration_ns < 0:
        return "-" + duration(-duration_ns)
    if duration_ns < 1_000:
        return f"{duration_ns} ns"
    for unit, size_ns in (("µs", 1_000), ("ms", 1_000_000)):
        if duration_ns < 999.5 * size_ns:
            return f"{three_digits(duration_ns / size_ns)} {unit}"
    if duration_ns < 119_500_000_000:
        return f"{three_digits(duration_ns / 1e9)} s"
    seconds = round(duration_ns / 1e9)
    if seconds < 7_200:
        return f"{seconds // 60} min {seconds % 60:02} s"
    minutes = round(seconds / 60)
    if minutes < 2_880:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes // 1_440} d {minutes % 1_440 // 60:02} h"


def split_duration(whole_ns: int, parts_ns: list[int]) -> tuple[str, list[str]]:
    """Return a whole and its parts in one unit, rounded so that what is shown adds up; "" for a part that is shown as nothing.

    `parts_ns` add up to `whole_ns`. Of the parts, those with the largest remainders are rounded up.
    """
    step_ns, write = _scale_of(whole_ns)
    whole = round(whole_ns / step_ns)
    steps = [part_ns * whole // whole_ns if whole_ns else 0 for part_ns in parts_ns]
    by_remainder = sorted(range(len(parts_ns)), key=lambda at: steps[at] * whole_ns - parts_ns[at] * whole)
    for at in by_remainder[: whole - sum(steps)]:
        steps[at] += 1
    return write(whole), [write(number) if number else "" for number in steps]


def _scale_of(whole_ns: int) -> tuple[int, Callable[[int], str]]:
    """Return the step that `duration` rounds to, and what writes a number of steps."""
    for unit, size_ns, most_ns in (("ns", 1, 1_000), ("µs", 1_000, 999_500), ("ms", 1_000_000, 999_500_000)):
        if whole_ns < most_ns:
            return _decimal_scale(whole_ns, unit, size_ns)
    if whole_ns < 119_500_000_000:
        return _decimal_scale(whole_ns, "s", 1_000_000_000)
    seconds = 1_000_000_000
    if whole_ns < 7_199_500_000_000:
        return seconds, lambda number: f"{number} s" if number < 120 else f"{number // 60} min {number % 60:02} s"
    if whole_ns < 2_879.5 * 60 * seconds:
        return 60 * seconds, lambda number: f"{number} min" if number < 120 else f"{number // 60} h {number % 60:02} min"
    return 3_600 * seconds, lambda number: f"{number} h" if number < 48 else f"{number // 24} d {number % 24:02} h"


def _decimal_scale(whole_ns: int, unit: str, size_ns: int) -> tuple[int, Callable[[int], str]]:
    value = whole_ns / size_ns
    digits = 0 if unit == "ns" else 2 if value < 9.995 else 1 if value < 99.95 else 0
    return size_ns // 10**digits, lambda number: f"{number / 10**digits:.{digits}f} {unit}"


def size(size_bytes: int) -> str:
    """Return a number of bytes with three significant digits and a decimal unit: `48.2 MB`."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" else f"{three_digits(value)} {unit}"
        value /= 1_000
    return f"{value:,.1f} TB"


def count(number: int, noun: str = "") -> str:
    """Return a number with its thousands apart, and with a noun in the singular or the plural."""
    if not noun:
        return f"{number:,}"
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {noun if number == 1 else plural}"


def percent(share: float) -> str:
    """Return a share of one as whole percents, `<1 %` for what is there and too small."""
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def fine_percent(share: float) -> str:
    """Return a share of one with two significant digits: `0.034 %`."""
    value = share * 100
    if value == 0:
        return "0 %"
    if value < 0.001:
        return "<0.001 %"
    return f"{value:.0f} %" if value >= 9.95 else f"{float(f'{value:.1e}'):g} %"


def ending(exit_code: int | None, state: str) -> str:
    """Return how a process or a run came to its end; a negative code is a signal, 128 + N is how shells say signal N."""
    if exit_code is None:
        return state
    if exit_code < 0:
        return f"killed by {_signal_name(-exit_code)}"
    name = _signal_name(exit_code - 128) if exit_code > 128 else ""
    return f"exit {exit_code} ({name})" if name.startswith("SIG") else f"exit {exit_code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def listing(items: list[str], most: int, write: Callable[[str], str] = inert) -> str:
    """Return the first items with commas between, and how many are left out."""
    shown = ", ".join(write(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {count(len(items) - most)} more"
