"""The pack test kit: runs a program under a real `hookmon run` and gives back what was recorded, for tests of packs.

In: the text of a program. Out: a `Recorded`, which answers for counts and searches all that hookmon wrote for a planted
secret. For tests of any framework; docs/packs.md shows how. Runs on the launcher's side only, but for `plugin`, which pytest
loads in every session: what the kit needs is imported when it is used.

    recorded = run("import shop; shop.quote('s3cr3t')", packs=["shop.toml"])
    assert recorded.calls("function") == {"quote": 1}
    assert recorded.leaks("s3cr3t") == []
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hookmon.testing.recorded import Recorded
    from hookmon.testing.run import run

__all__ = ["Recorded", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hookmon.testing.recorded import Recorded
    from hookmon.testing.run import run

    globals().update(Recorded=Recorded, run=run)
    return globals()[name]
