"""Lets coverage leave our files out of what it measures, as it does its own.

In: `coverage.inorout`, just imported. Out: its function that says where coverage itself is, which names our folders as well.
Where hookmon belongs to another environment than the program, coverage would take them for the program's. Runs in the watched
process.
"""

from __future__ import annotations

from hookmon.probe.base.frames import drop_frame, hide_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@hide_frames
def leave_out(coverage: dict[str, Any], agent: str, bootstrap: str) -> None:
    """Name our folders, too: of a file of the agent, two folders down, and of one of the bootstrap.

    `coverage` is the namespace of the module.
    """
    name = "_add_coverage_paths" if "_add_coverage_paths" in coverage else "add_coverage_paths"  # as older ones call it
    add = coverage[name]

    def add_ours(paths: set[str]) -> None:
        try:
            add(paths)
        except BaseException as error:
            drop_frame(error)
            raise
        canonical = coverage["canonical_path"]
        paths.update((canonical(canonical(agent, directory=True), directory=True), canonical(bootstrap, directory=True)))

    coverage[name] = add_ours
