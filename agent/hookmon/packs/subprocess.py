"""Times the waits for a program's end that are waits: not those for an end that is known, as `subprocess.run` does in the end.

In: `subprocess`, just imported. Out: `Popen.wait`, timed while the program may still run. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import attribute, time_when

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time `Popen.wait`."""
    owner = vars(module)["Popen"]
    plain = vars(owner)["wait"]
    patches.replace(owner, "wait", time_when(_may_run, plain, timed(plain, call)))


def _may_run(process: Any) -> bool:
    return attribute(process, "returncode") is None
