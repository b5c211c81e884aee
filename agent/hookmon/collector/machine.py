"""On which machine a run was made, and how busy that was with other things: what two runs need to be compared.

In: /proc, or psutil, at the start and the end of a run. Out: a few values in the Run. Runs in the launcher. The name of the host
is kept as a digest only: a run file can be sent to others.
"""

from __future__ import annotations

import os
from contextlib import suppress

from hookmon.collector.identity import HAS_PROC, TICK_NS
from hookmon.collector.store import Run
from hookmon.core.digest import digest


class Machine:
    """The machine while a run lasts."""

    def __init__(self, before_ns: int | None = None) -> None:
        """Remember how much all its processors had worked before, or what somebody read earlier."""
        self._before_ns = _busy_ns() if before_ns is None else before_ns

    def describe(self, run: Run) -> None:
        """Set what identifies the machine, and the CPU time that others than the run's processes took."""
        run.cpu = _model()
        run.cores = os.cpu_count() or 0
        run.host = digest(os.uname().nodename, 6)
        run.others_ns = max(0, _busy_ns() - self._before_ns - run.total("cpu_ns"))


def _busy_ns() -> int:
    """Return the CPU time that all processes of the machine have had; time stolen by other machines on the same host counts."""
    if not HAS_PROC:
        from hookmon.collector import through_psutil

        return through_psutil.busy_ns()
    with open("/proc/stat", "rb") as file:
        user, nice, system, _idle, _iowait, *others = map(int, file.readline().split()[1:])
    return (user + nice + system + sum(others[:3])) * TICK_NS  # what guests had is in user and nice already


def _model() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model"):
                return value.strip()
    import platform  # few machines say nothing in that file

    return platform.processor() or platform.machine()
