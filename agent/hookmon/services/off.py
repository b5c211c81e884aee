"""When a start of a service was switched off, and for what: weeks later a zero is not to be taken for silence.

In: what `collector.switches` has written down in the run folder. Out: text for the store, and blind spots of a window.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hookmon.collector.rows import BlindSpot
from hookmon.collector.switches import Switched, describe, read

Stretch = tuple[str, int, int, int, int]
"""What was off, "" for everything; how often; for how many ns; from when, and until when, in ns since 1970: 0 is until now."""

_MOST = 500


def stretches_of(folder: Path) -> list[Stretch]:
    """Return when a run that has this folder was off."""
    switched = read(folder)
    found: list[Stretch] = [(what, times, ns, begun, ended) for what, (times, ns, begun, ended) in switched.earlier.items()]
    found += [(what, 1, ended - begun, begun, ended) for what, begun, ended in switched.stretches]
    found += [(what, 1, 0, since_ns, 0) for what, since_ns in switched.off.items()]
    return found[-_MOST:]


def pack_stretches(stretches: list[Stretch]) -> str:
    """Return stretches as text, "" for none."""
    return json.dumps(stretches, separators=(",", ":")) if stretches else ""


def unpack_stretches(text: object) -> list[Stretch]:
    """Return what was packed, none where it cannot be read."""
    if not isinstance(text, str) or not text:
        return []
    try:
        return [(str(what), int(times), int(ns), int(begun), int(ended)) for what, times, ns, begun, ended in json.loads(text)]
    except (ValueError, TypeError, RecursionError):
        return []


def blind_spots(stretches: Iterable[Stretch], since_s: float, until_s: float, now_s: float) -> list[BlindSpot]:
    """Return what was off within a window, cut to it; many short stretches of before are told as they are, together."""
    since_ns, until_ns = round(since_s * 1e9), round(until_s * 1e9)
    whole = Switched()
    for what, times, ns, begun, ended in stretches:
        last_ns = ended or until_ns
        if begun >= until_ns or last_ns <= since_ns:
            continue
        if times > 1:
            known = whole.earlier.setdefault(what, [0, 0, begun, last_ns])
            whole.earlier[what] = [known[0] + times, known[1] + ns, min(known[2], begun), max(known[3], last_ns)]
        else:
            whole.begin(what, max(begun, since_ns))
            if ended or until_s < now_s:  # else it is off still
                whole.end(what, min(last_ns, until_ns))
    return [BlindSpot("off", describe(what, *known)) for what, known in whole.sums(until_ns).items()]
