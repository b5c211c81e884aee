"""Prepares the start of runs that are like one that has just ended: see `_prepared`, whose entries these are.

In: a checked configuration and what it has come from. Out: an entry in the user's cache folder. The run file in it is made by the
collector, of a run folder in which there is nothing.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hookmon import __version__
from hookmon.cli import _bundling, _options, _pack_table, _plan, _prepared, _words
from hookmon.collector import control, engines, launch
from hookmon.collector.collect import Collector
from hookmon.collector.machine import Machine
from hookmon.collector.rows import Process
from hookmon.collector.short_run import find_blanks
from hookmon.collector.store import Run, RunFile
from hookmon.config.load import Config
from hookmon.config.origins import settings
from hookmon.core import arguments, plan
from hookmon.core.consulted import Consulted, note_own
from hookmon.core.errors import RunFileError
from hookmon.core.record import asdict

_CODE = ("collector", "config", "core")
"""Rooms by whose code an entry is made."""


def prepare(key: str, given: dict[str, Any], config: Config, consulted: Consulted) -> None:
    """Keep what a run with these options needs before its program starts; nothing where it needs more than an entry has."""
    if config.exporters or (config.service and not given["no_service"]) or config.root["samples"] or not consulted.is_settled:
        return
    with suppress(OSError, ValueError, RunFileError), consulted:
        _note_code(consulted)
        if consulted.is_settled and not consulted.has_changed():
            _prepared.write(_entry(key, given, config, consulted))
            _pack_table.keep(consulted.states)
    _bundling.keep()


def _note_code(consulted: Consulted) -> None:
    """Note the code that makes an entry, and what its values name."""
    for room in _CODE:
        note_own(Path(__file__).parents[1] / room, ".py")
    for module in ("wrapt", "hookmon_bootstrap.sitecustomize"):
        spec = find_spec(module)
        if spec is not None and spec.origin:
            consulted.note(spec.origin)
    note_own(engines.PROBE / "c", ".h")
    for path in (engines.sources()[0], engines.folder(), engines.current_folder(), *(engine.path for engine in engines.built())):
        consulted.note(str(path))


def _entry(key: str, given: dict[str, Any], config: Config, consulted: Consulted) -> dict[str, Any]:
    watches = [watch.to_plan(number) for number, watch in enumerate(config.watches, 1)]
    whole = _plan.content(config, __version__, watches)
    chosen = _words.configuration_of(given)
    run_file, places = find_blanks(_run_file(config, watches, arguments.mask(_options.words(chosen))))
    return {
        "key": key,
        "states": consulted.states,
        "there": consulted.there,
        "machine": _prepared.machine(),
        "project": str(config.project),
        "redact": config.redact,
        "bootstrap": launch.bootstrap_folder(),
        "agent": launch.agent_folder(),
        "plan": plan.encode_rest(whole),
        "modules": _plan.modules_file(whole),
        "engines": engines.file_for_probe(),
        "control": control.page(),
        "left_out": [str(left_out) for left_out in config.left_out],
        "run_file": run_file,
        "places": places,
        "process": asdict(Process(0, 0, [])),
        "is_settled": all(watch.pack or ("own", True) in watch.others for watch in config.watches),
    }


def _run_file(config: Config, watches: list[Any], options: list[str]) -> bytes:
    """Return the run file of a run in which nothing was recorded, which has just begun."""
    with tempfile.TemporaryDirectory(prefix="hookmon-preparing-") as folder:
        run = Run(
            id=0,
            name="",
            command=[],
            started_at="",
            hookmon=__version__,
            project=str(config.project),
            run_folder=folder,
            options=options,
            plan=[dict(watch) for watch in watches],
            settings=settings(config),
            config=str(config.path.resolve()) if config.path else "",
        )
        run_file = RunFile(Path(folder, "run.sqlite"))
        run = Collector(run, run_file).look(state="finished")
        run.blind_spots = [spot for spot in run.blind_spots if spot.kind != "no room"]
        Machine().describe(run)
        run_file.save(run)
        run_file.add_blanks()
        return run_file.path.read_bytes()
