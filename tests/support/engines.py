"""The engines that tests with real servers and frameworks run on."""

from __future__ import annotations

import os

ENGINES = ["pure", "compiled"] if "HOOKMON_BOTH" in os.environ else [os.environ.get("HOOKMON_ENGINE", "compiled")]
"""The one that is asked for, else the compiled one; both with HOOKMON_BOTH, which `.ci/packs` and `.ci/interpreters` set."""
