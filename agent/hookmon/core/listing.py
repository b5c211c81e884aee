"""Which modules a package has, of which many things of hookmon are found: verbs, formats.

`pkgutil` tells it too, and imports inspect for it, which takes longer than a short report. Runs in the launcher.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from types import ModuleType


def modules_in(package: ModuleType) -> list[str]:
    """Return the names of the modules in a package that lies in a folder, sorted."""
    names = {name.partition(".") for folder in package.__path__ for name in os.listdir(folder)}
    return sorted({name for name, _, end in names if end in ("py", "pyc") and name != "__init__"})
