"""SQLite as Python has it built in, without what the module `sqlite3` adds: dates and times, which no file of ours has.

That module imports `datetime` for them. Runs in the launcher.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    import sqlite3 as sqlite3
else:
    import _sqlite3 as sqlite3  # noqa: F401  # for who imports it from here
