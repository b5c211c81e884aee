"""The noun that everything else asks for: one checked `[[watch]]` or `[[hook]]` table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hookmon.core.plan import WatchPlan


@dataclass(frozen=True)
class Hook:
    """What a `[[hook]]` table says more than a `[[watch]]`, by the names of the settings."""

    callable: str
    methods: tuple[str, ...]
    base: str
    skip: tuple[str, ...]
    unregister: tuple[str, ...]
    since: tuple[str, ...]


@dataclass(frozen=True)
class Watch:
    """One `[[watch]]` or `[[hook]]` after checking, from the user's file, from --watch or from a pack.

    `source` is where it was written, "hookmon.toml:12", '--watch "shop:quote"' or "pack redis"; `pack` is "" for the user's own.
    With a `hook` its calls are not timed themselves, but the callbacks that they register; with `until` what lies between one
    of its calls and one of those.
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

    @property
    def role(self) -> str:
        """What is done at its calls: "time" them, time the callbacks of a "hook", or a "span" up to another call; or "tell".

        Those that tell are not timed: what they know of the open transaction is read, by its fields or by an adapter.
        """
        if self.hook is not None:
            return "hook"
        if self.until:
            return "span"
        marks = self.entry_name or self.entry_status or self.entry_body
        return "tell" if not self.entry and (marks or (self.adapter and not self.span)) else "time"

    def to_plan(self, watch_id: int) -> WatchPlan:
        """Return the dictionary of the plan; the caller numbers the watches."""
        plan: WatchPlan = {
            "id": watch_id,
            "module": self.module,
            "calls": list(self.calls),
            "span": self.span,
            "kind": self.kind,
            "nested": self.nested,
            "entry": self.entry,
            "entry_name": self.entry_name,
            "entry_status": self.entry_status,
            "entry_body": self.entry_body,
            "waits": self.waits,
            "pack": self.pack,
            "source": self.source,
            "adapter": self.adapter,
        }
        if self.part:
            plan["part"] = True
        if self.until:
            plan["until"] = list(self.until)
        if self.hook is not None:
            hook = self.hook
            plan["hook"] = {
                "callable": hook.callable,
                "methods": list(hook.methods),
                "base": hook.base,
                "skip": list(hook.skip),
                "unregister": list(hook.unregister),
                "since": list(hook.since),
            }
        return plan
