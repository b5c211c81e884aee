"""The noun that everything else asks for: one checked `[[watch]]` or `[[hook]]` table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from hookmon.core.record import Record, fields

if TYPE_CHECKING:
    from hookmon.core.plan import WatchPlan

Value = str | bool | tuple[str, ...] | tuple[tuple[str, str], ...]
"""What a key of a table may hold, after checking."""

_UNLESS_EMPTY = ("part", "until")
"""Keys that a plan leaves out where they say nothing."""


class Hook(Record, frozen=True):
    """The settings that a `[[hook]]` table has and a `[[watch]]` has not."""

    callable: str | tuple[str, ...]
    methods: tuple[str, ...]
    base: str | tuple[str, ...]
    skip: tuple[str, ...]
    unregister: tuple[str, ...]
    since: tuple[str, ...]


class Watch(Record, frozen=True):
    """One `[[watch]]` or `[[hook]]` after checking, from the user's file, from --watch or from a pack.

    `source` is where it was written, "hookmon.toml:12", '--watch "shop:quote"' or "pack redis"; `pack` is "" for the user's own.
    With a `hook`, the callbacks that its calls register are timed, and not the calls. With `until`, the time from one of its
    calls to one of those is. `others` are pairs of key and value: settings of its table that only the probe reads, and that are
    not at their default. `module` may be a glob; in place of a module there may be a `file`, or a glob of files, below `folder`.
    """

    module: str
    calls: tuple[str, ...]
    span: str
    kind: str
    nested: bool
    entry: bool = False
    entry_name: str = ""
    entry_status: str = ""
    entry_body: str = ""
    waits: bool = False
    part: bool = False
    until: tuple[str, ...] = ()
    pack: str = ""
    source: str = ""
    adapter: str = ""
    hook: Hook | None = None
    file: str = ""
    folder: str = ""
    others: tuple[tuple[str, Value], ...] = ()

    @property
    def place(self) -> str:
        """The module or the file, or the glob of them, as it is written."""
        return self.module or self.file

    @property
    def role(self) -> str:
        """What happens at its calls.

        "time": they are timed. "hook": the callbacks that they register are timed. "span": a paired span begins, which another
        call ends. "observe": they are not timed; fields or an adapter read from them what they know of the open transaction.
        """
        if self.hook is not None:
            return "hook"
        if self.until:
            return "span"
        marks = self.entry_name or self.entry_status or self.entry_body
        return "observe" if not self.entry and (marks or (self.adapter and not self.span)) else "time"

    def to_plan(self, watch_id: int) -> WatchPlan:
        """Return the dictionary of the plan; the caller numbers the watches."""
        plan = {
            "id": watch_id,
            **_plain(self, leave_out=("hook", "others", "file", "folder")),
            **{key: _thaw(value) for key, value in self.others},
        }
        if self.file:
            plan |= {"module": self.file, "files": _paths(self.folder, self.file)}
        for key in _UNLESS_EMPTY:
            if not plan[key]:
                del plan[key]
        if self.hook is not None:
            plan["hook"] = _plain(self.hook)
        return cast("WatchPlan", plan)


def _paths(folder: str, file: str) -> list[str]:
    """Return the absolute glob of a file, and a second one where links lead to the folder: a program may use either path."""
    return sorted({os.path.normpath(os.path.join(base, file)) for base in (folder, os.path.realpath(folder))})


def _plain(values: Watch | Hook, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of a watch or hook by name, as values that a plan can hold."""
    return {name: _thaw(getattr(values, name)) for name in fields(values) if name not in leave_out}


def _thaw(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
