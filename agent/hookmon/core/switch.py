"""The switch that turns hookmon off for a program: HOOKMON_DISABLE in its environment.

In: an environment. The bootstrap, which imports nothing of ours before it has looked, reads it for itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "HOOKMON_DISABLE"
DISABLED = f"{VARIABLE} is set"
"""The reason, where one is told."""


def is_disabled(environment: Mapping[str, str]) -> bool:
    """Say whether programs in this environment run without the probe: "" and "0" are as good as nothing."""
    return environment.get(VARIABLE, "0") not in ("", "0")
