"""Runs one loop a given number of times, for callgrind: `counted.py SCENARIO CALLS FOLDER WRAPT_FOLDER`; no folder, no probe."""

from __future__ import annotations

import sys

import loops
from patched import switch_off, watched_shop

OFF = {"off": (), "off by name": ("watched_shop:function",), "others off": ("watched_shop:named",)}
"""The loop of the function, with what is switched off then: everything, it, or another one."""

scenario, calls, folder, wrapt_folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
shop = watched_shop(folder, wrapt_folder) if folder else loops.copy_of_shop("shop")
if scenario in OFF and folder:
    switch_off(folder, *OFF[scenario])
(loops.LOOPS | loops.BY_CODE)["function" if scenario in OFF else scenario][0](shop, calls)
