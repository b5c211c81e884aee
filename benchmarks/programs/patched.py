"""Watches a copy of the shop in this very process, without a launcher: for exact counts and for the tests."""

from __future__ import annotations

import loops


def watched_shop(folder: str, wrapt_folder: str) -> object:
    """Start the recorder in a folder and return a shop that is watched as `hookmon.toml` says."""
    from hookmon.probe.recording import recorder

    recorder.wrapt_folder = wrapt_folder
    recorder.start(folder, "benchmarks")
    from hookmon.probe.patching.by_code import is_watched
    from hookmon.probe.patching.patcher import patch_module
    from hookmon.probe.patching.patches import Patches
    from hookmon.probe.wrappers.make import is_timed

    shop = loops.copy_of_shop("watched_shop")
    common = {"module": "watched_shop", "kind": "function", "nested": False, "pack": "", "source": "", "adapter": ""}
    common |= {"entry": False, "entry_name": "", "entry_status": "", "entry_body": "", "waits": False}
    fixed = {"id": 1, "calls": ["function", "Shop.method", "coroutine", "level*"], "span": ""}
    by_argument = {"id": 2, "calls": ["named"], "span": "named {arg0}"}
    by_code = {"id": 3, "calls": ["coded", "numbers", "awaited"], "span": "", "via": "code"}
    by_name = {"id": 4, "calls": ["wrapped", "joined"], "span": "", "via": "name"}
    patch_module(shop, "watched_shop", [common | watch for watch in (fixed, by_argument, by_code, by_name)], Patches())
    either = all(is_timed(function) or is_watched(function) for function in (shop.function, shop.named))
    if not (either and is_timed(shop.wrapped) and is_timed(shop.joined)):  # or nothing would look like a very good result
        raise RuntimeError("the shop could not be watched")
    return shop


def switch_off(folder: str, *lines: str) -> None:
    """Switch targets off in this process, or everything where none is given, by a control page as a run has it."""
    from pathlib import Path

    from hookmon.collector.control import page
    from hookmon.collector.switches import Switch
    from hookmon.core import layout
    from hookmon.probe.recording import control

    Path(folder, layout.CONTROL_NAME).write_bytes(page())
    control.begin(folder)
    Switch(Path(folder)).off(lines)
