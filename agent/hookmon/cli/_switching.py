"""Which targets somebody means who switches them off by a name, and what `hookmon off` and `on` say.

In: the words of --watch, a look at the run. Out: lines for its control page (core.switches).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from hookmon.cli import _output, _runs
from hookmon.core.errors import HookmonError
from hookmon.core.globs import Glob, is_glob
from hookmon.core.switches import Lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hookmon.collector.counters import CallKey
    from hookmon.collector.live import LiveRun
    from hookmon.collector.switches import Switched

_MOST_SHOWN = 5


def switch(run: str, names: tuple[str, ...], as_json: bool, *, is_off: bool) -> None:
    """Switch targets of a run, or of all that runs of a service, and say what is off then. Raises HookmonError."""
    from hookmon.collector.switches import Switch

    found: list[tuple[LiveRun, Switched]] = []
    with _runs.open_running(run) as running:
        for live in running:
            switch_of_run = Switch(live.folder)
            if is_off:
                switched = switch_of_run.off(lines_of(names, live))
            else:
                switched = switch_of_run.on(lines_off(names, live.switched, live))
            found.append((live, switched))
    if as_json:
        _output.print_json([_document(live, switched) for live, switched in found])
        return
    for live, switched in found:
        _output.tell(f"hookmon: {describe(live.run.id, switched, is_off=is_off)}")


def lines_of(names: Iterable[str], live: LiveRun) -> list[str]:
    """Return the lines that names stand for: paths of targets, globs of them, packs, or names of calls in the report.

    Raises HookmonError for a name of which the run knows nothing.
    """
    wanted = [name for word in names for name in _split(word)]
    if not wanted:
        return []
    from time import monotonic_ns

    from hookmon.collector.additions import plan_of

    keys = list(live.look(monotonic_ns()).totals.by_key)
    plan = plan_of(live.run)
    return list(dict.fromkeys(line for name in wanted for line in _lines(name, keys, plan)))


def lines_off(names: Iterable[str], switched: Switched, live: LiveRun) -> list[str]:
    """Return the lines that names stand for where they are to be switched on: those that are off by that word come first."""
    wanted = [name for word in names for name in _split(word)]
    found: list[str] = []
    for name in wanted:
        found += [name] if name in switched.off else lines_of([name], live)
    return found


def _split(word: str) -> list[str]:
    """Return the paths of `module:call,call`, and any other word as it is: a name in the report may have commas."""
    module, colon, calls = word.partition(":")
    if not colon or not all(part.isidentifier() or is_glob(part) for part in module.split(".")):
        return [word]
    return [f"{module}:{call.strip()}" for call in calls.split(",")]


def _lines(name: str, keys: list[CallKey], plan: list[dict[str, Any]]) -> list[str]:
    off = Lines([name])
    paths = {key.target for key in keys}
    if ":" in name and (any(off.takes(path, "") for path in paths) or any(_may_take(watch, name) for watch in plan)):
        return [name]
    if name in {watch["pack"] for watch in plan} - {""}:
        return [name]
    named = {key.target for key in keys if key.name == name} or {path for path in paths if path.partition(":")[2] == name}
    if named:
        return sorted(named)
    known = sorted({key.name for key in keys} | paths | {watch["pack"] for watch in plan} - {""})
    near = get_close_matches(name, known, n=1)
    meant = f"; did you mean {near[0]}?" if near else ": give module:call, a name in the report, or the name of a pack"
    raise HookmonError(f"nothing that is watched is called {name}{meant}", code="not-watched-here")


def _may_take(watch: dict[str, Any], path: str) -> bool:
    """Say whether a watch of the plan may have that target, which was not called yet."""
    module, _, call = path.partition(":")
    modules, calls = watch["module"], watch["calls"]
    is_module = modules == module or (is_glob(modules) and Glob(modules).takes(module)) or bool(watch.get("files"))
    if is_glob(module) or is_glob(call):
        return is_module or (is_glob(module) and Glob(module).takes(modules))
    return is_module and any(one == call or (is_glob(one) and Glob("**" if one == "*" else one).takes(call)) for one in calls)


def describe(number: int, switched: Switched, *, is_off: bool) -> str:
    """Return what is off in a run, in one line."""
    if not switched.off:
        return f"run {number}: everything is on"
    if "" in switched.off:
        return f"run {number}: everything is off; hookmon on {number} switches it on"
    names = [*switched.off][:_MOST_SHOWN]
    more = f" and {len(switched.off) - _MOST_SHOWN} more" if len(switched.off) > _MOST_SHOWN else ""
    verb = "is" if len(switched.off) == 1 else "are"
    hint = f"; hookmon on {number} switches {'it' if verb == 'is' else 'them'} on" if is_off else " still"
    return f"run {number}: {', '.join(names)}{more} {verb} off{hint}"


def _document(live: LiveRun, switched: Switched) -> dict[str, Any]:
    from hookmon.collector.switches import moment

    return {
        "run": live.run.id,
        "name": live.run.name,
        "all_off": "" in switched.off,
        "off": [{"what": what, "since": moment(since_ns)} for what, since_ns in switched.off.items()],
    }
