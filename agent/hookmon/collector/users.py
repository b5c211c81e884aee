"""The users of the machine, by their numbers. Runs on the launcher's side."""

from __future__ import annotations

import os
import pwd
from functools import cache
from pathlib import Path


@cache
def user_name(uid: int) -> str:
    """Return the name of a user, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def other_owner(path: Path) -> str:
    """Return to whom a file belongs, "" when it is the user's own, or gone."""
    try:
        uid = os.stat(path).st_uid
    except OSError:
        return ""
    return "" if uid == os.geteuid() else user_name(uid)
