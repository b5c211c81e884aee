"""Windows of services, for the verbs that take --last, --since and --until.

In: what was typed. Out: a window of a service as a run. A name is that of a service, where there is one of that name; without a
name it is the service of the project's newest run, or the only one there is.
"""

from __future__ import annotations

import time
from contextlib import suppress
from shlex import quote
from typing import TYPE_CHECKING

from hookmon.cli import _runs, _time_range, _which_service
from hookmon.core.errors import HookmonError, RunFileError, StoreError

if TYPE_CHECKING:
    from hookmon.cli._time_range import TimeRange
    from hookmon.collector.store import Run

LAST = "last"
"""What a verb gets where no run is named."""

_HOUR_S = 3600
_MINUTE_S = 60


def is_service(which: str) -> bool:
    """Say whether a name is that of a service. Raises StoreError where the store cannot be read."""
    return which in _which_service.names_in(_which_service.store_here())


def service_meant(which: str) -> str:
    """Return the service that is meant, "" where a run is. Raises StoreError where the store cannot be read."""
    names = _which_service.names_in(_which_service.store_here())
    if which != LAST:
        return which if which in names else ""
    newest = ""
    with suppress(RunFileError):
        newest = _runs.find_file(_runs.store_here(), LAST).head().service
        return newest if newest in names else ""
    return names[0] if len(names) == 1 else ""


def window(service: str, given: TimeRange) -> Run:
    """Return a window of a service as a run. Raises StoreError."""
    from hookmon.services import windows

    return windows.window(_which_service.store_here(), service, given.since, given.until)


def find(which: str, times: tuple[str | None, str | None, str | None], without: tuple[str, ...] = ()) -> Run:
    """Return a run, or a stretch of a service where `times` (last, since, until) mean one.

    A service that is named without one is its last hour, unless a run has that name. Tables in `without` may be left out. Raises
    HookmonError for a stretch of a run, which is kept as a whole.
    """
    given = _time_range.parse(*times, now=time.time())
    if given is not None:
        service = service_meant(which)
        if not service:
            raise refuse_run(which, "report", "--last 10m")
        return window(service, given)
    try:
        return _runs.find(_runs.store_here(), which, without=without)
    except RunFileError as error:
        if error.code != "no-such-run" or which == LAST or not is_service(which):
            raise
        return last_hour(which)


def last_hour(service: str) -> Run:
    """Return the last hour of a service."""
    now = time.time()
    return window(service, _time_range.TimeRange(now - _HOUR_S, now))


def pair(service: str, given: TimeRange, against: str, *, now: float) -> tuple[Run, Run]:
    """Return an earlier window and the one that was asked for. Raises StoreError, UsageError.

    Both are whole minutes; where only hours are kept of the earlier one, whole hours, those that are nearest.
    """
    since = given.since // _MINUTE_S * _MINUTE_S
    minutes = _time_range.TimeRange(since, max(since + _MINUTE_S, given.until // _MINUTE_S * _MINUTE_S))
    asked = _time_range.earlier(minutes, against, now=now)
    before = window(service, asked)
    if (before.since_s, before.until_s) == (asked.since, asked.until):
        return before, window(service, minutes)
    until = min(round(given.until / _HOUR_S), int(now / _HOUR_S))
    since = min(round(given.since / _HOUR_S), until - 1)
    hours = _time_range.TimeRange(since * _HOUR_S, until * _HOUR_S)
    return window(service, _time_range.earlier(hours, against, now=now)), window(service, hours)


def refuse_run(which: str, verb: str, options: str) -> HookmonError:
    """Return the error for a part of a run where only a service has parts: `verb` and `options` are those that were given."""
    try:
        run = _runs.find_file(_runs.store_here(), which).head()
    except RunFileError as error:
        names = _which_service.names_in(_which_service.store_here())
        if which == LAST and names:
            return StoreError(f"which service? There are {', '.join(names[:20])}", code="no-such-service")
        if error.code == "no-such-run" and which != LAST:
            from difflib import get_close_matches

            near = get_close_matches(which, names, n=1)
            if near:
                return StoreError(f"there is no service and no run {which}; did you mean {near[0]}?", code="no-such-service")
        return error
    if run.service:
        whole = f"run {run.id} is kept as a whole, and its service by time: hookmon {verb} {quote(run.service)} {options}"
        return HookmonError(whole, code="whole-run")
    return HookmonError(
        f"run {run.id} is kept as a whole: {options} is for a service, hookmon run --service NAME", code="whole-run"
    )
