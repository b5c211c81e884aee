"""Runs one loop, bare and watched, for callgrind: `counted.py SCENARIO CALLS FOLDER WRAPT_FOLDER`.

When to count, a library tells that is loaded before all others. Each half has its own code of the loop: the interpreter makes it
faster as it goes on, and has done so when it is counted.
"""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType

import loops

OFF = {"off": (), "off by name": ("watched_shop:function",), "others off": ("watched_shop:named",)}
"""The loop of the function, with what is switched off then: everything, it, or another one."""

scenario, calls, folder, wrapt_folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
library = ctypes.CDLL(None)
begin_counting, end_counting = library.begin_counting, library.end_counting
begin_counting()
end_counting()  # what a first call takes is counted here


def count(loops: ModuleType, shop: object) -> None:
    """Call the loop twice and have the second time counted."""
    loop = (loops.LOOPS | loops.BY_CODE)["function" if scenario in OFF else scenario][0]
    loop(shop, calls)
    begin_counting()
    loop(shop, calls)
    end_counting()


count(loops, loops.copy_of_shop("shop"))
del sys.modules["loops"]
import patched  # noqa: E402  # with loops of its own

shop = patched.watched_shop(folder, wrapt_folder)
if scenario in OFF:
    patched.switch_off(folder, *OFF[scenario])
count(patched.loops, shop)
