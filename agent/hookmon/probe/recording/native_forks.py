"""Forks that C code makes without a word to Python: uWSGI's, and those of any program that embeds it.

The compiled engine hears of them from the C library (`c/forks.h`). Here is what else there is. Runs in the watched process.
"""

from __future__ import annotations

import sys

from hookmon.probe.base.private import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LATENESS = (
    "processes were forked by C code, of which Python does not tell: what such a process called before its first call that was "
    "new to it is counted in the process that it was forked from, and not all of it"
)
"""What is noted where the first calls of this process may stand in its parent's row."""

forgetters: list[Callable[[], None]] = []
"""What modules do in any forked child, after `recorder`: forget what their parent has begun."""

_noticed_pid = 0


def notice() -> None:
    """Remember that this process was found to be a fork before Python, if ever, says so."""
    global _noticed_pid
    _noticed_pid = os.getpid()


def was_noticed() -> bool:
    """Say whether this process was found to be a fork already; asked when Python says so."""
    global _noticed_pid
    before, _noticed_pid = _noticed_pid, 0
    return bool(before == os.getpid())


def forget() -> None:
    """Let all modules forget what the parent of this process has begun."""
    for function in forgetters:
        function()


def follow_uwsgi(begin_anew: Callable[[], None], known_pid: Callable[[], int]) -> None:
    """Begin anew in each worker that uWSGI forks from this process, before what the program wants called there.

    Not where Python was told (--py-call-osafterfork) and the process is known. uWSGI 2.0 calls `uwsgi.post_fork_hook` in a
    new worker. A program that sets it later replaces ours, as uwsgidecorators does.
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None:
        return
    before = getattr(uwsgi, "post_fork_hook", None)

    def hook() -> object:
        if os.getpid() != known_pid():
            begin_anew()
        return before() if before is not None else None

    uwsgi.post_fork_hook = hook
