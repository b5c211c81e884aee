"""Runs one loop a given number of times, for callgrind: `counted.py SCENARIO CALLS FOLDER WRAPT_FOLDER`; no folder, no probe."""

from __future__ import annotations

import sys

import loops
from patched import watched_shop

scenario, calls, folder, wrapt_folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
shop = watched_shop(folder, wrapt_folder) if folder else loops.copy_of_shop("shop")
(loops.LOOPS | loops.BY_CODE)[scenario][0](shop, calls)
