"""The noun that everything else asks for: one checked `[[watch]]` or `[[hook]]` table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hookmon.core.plan import WatchPlan


@dataclass(frozen=True)
class Watch:
    """One `[[watch]]` or `[[hook]]` after checking, from the user's file, from --watch or from a pack.

    `source` is where it was written, "hookmon.toml:12", '--watch "shop:quote"' or "pack redis"; `pack` is "" for the user's own.
    A hook is one with a `callable`: its calls are not timed themselves, the callbacks are that they register.
    """

    module: str
    calls: tuple[str, ...]
    span: str
    kind: str
    nested: bool
    pack: str = ""
    source: str = ""
    adapter: str = ""
    callable: str = ""
    methods: tuple[str, ...] = ()
    base: str = ""
    skip: tuple[str, ...] = ()
    unregister: tuple[str, ...] = ()

    def to_plan(self, watch_id: int) -> WatchPlan:
        """Return the dictionary of the plan; the caller numbers the watches."""
        return {
            "id": watch_id,
            "module": self.module,
            "calls": list(self.calls),
            "span": self.span,
            "kind": self.kind,
            "nested": self.nested,
            "pack": self.pack,
            "source": self.source,
            "adapter": self.adapter,
            "callable": self.callable,
            "methods": list(self.methods),
            "base": self.base,
            "skip": list(self.skip),
            "unregister": list(self.unregister),
        }
