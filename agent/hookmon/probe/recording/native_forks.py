"""Forks that C code makes without telling Python: uWSGI's, and those of any program that embeds Python.

The C library tells the compiled engine (`c/forks.h`). This module is for the pure engine, and for what both do after a fork. Runs
in the watched process.
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
"""Functions that run in any forked child, after `recorder` has begun anew: each forgets what the parent has begun."""

_noticed_pid = 0


def notice() -> None:
    """Remember that this process is a fork. Python may say so later, or never."""
    global _noticed_pid
    _noticed_pid = os.getpid()


def was_noticed() -> bool:
    """Say whether `notice` has been called in this process. Python's own handler of forks asks."""
    global _noticed_pid
    before, _noticed_pid = _noticed_pid, 0
    return bool(before == os.getpid())


def forget() -> None:
    """Let all modules forget what the parent of this process has begun."""
    for function in forgetters:
        function()


def follow_uwsgi(begin_anew: Callable[[], None], known_pid: Callable[[], int]) -> None:
    """Begin anew in each worker that uWSGI forks from this process, ahead of the program's own hook.

    uWSGI 2.0 calls `uwsgi.post_fork_hook` in a new worker. Where Python was told of the fork (--py-call-osafterfork),
    `known_pid()` is the worker's already and nothing is to be done. A program that sets the hook later replaces ours, as
    uwsgidecorators does.
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
