"""Whether a command would be watched, check by check. In: a command and a configuration. Out: rows for `hookmon doctor`.

The interpreter of the command is started once, with the environment of a run and with its own options, and asked; the program is
not started.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator
from glob import iglob
from pathlib import Path
from shlex import join, quote
from typing import TYPE_CHECKING

from hookmon import __version__
from hookmon.core.engine_notes import build_command
from hookmon.core.errors import HookmonError
from hookmon.core.globs import Glob, is_glob
from hookmon.core.plan import MOST_MODULES
from hookmon.core.record import Record
from hookmon.core.switch import DISABLED, is_disabled

if TYPE_CHECKING:
    from hookmon.collector.interpreter import Interpreter
    from hookmon.config.origins import Origins

YES = "yes"
NO = "no"
NOTE = "note"

ABSENT = "not installed there"
"""How the detail of a pack ends whose library is missing."""

_AGENTS = ("ddtrace", "newrelic", "elasticapm", "opentelemetry", "sentry_sdk", "scout_apm", "wrapture", "coverage")
"""Modules of other tools that come in at the start of an interpreter."""

_WRAPPERS = ("opentelemetry-instrument", "elasticapm-run")
"""Commands that put a sitecustomize of their own before ours, and do not pass on."""

_EMBEDDING = ("uwsgi",)
"""Programs with Python inside."""

_FOLLOWED = ("coverage", "coverage3", "debugpy", "ipython", "ipython3", "kernprof", "pyinstrument", "streamlit", "viztracer")
"""Commands whose script is seen as `__main__` (probe/runners.py)."""

_NOT_FOLLOWED = ("doctest", "memory_profiler")
"""Modules that execute a script, of which nothing is seen."""

UNKNOWN = "unknown"

_MOST_SHOWN = 4
"""Modules or files that a glob stands for, by name."""


class Check(Record, frozen=True):
    """One answer: yes, no, note or unknown. Where `is_needed`, "no" means that the program would not be watched.

    "unknown" means that it depends on what the command starts.
    """

    what: str
    answer: str
    detail: str
    is_needed: bool = True


def diagnose(command: list[str], found: Origins) -> list[Check]:
    """Return all checks of a command, in the order in which they depend on each other."""
    from hookmon.collector.command import resolve

    checks: list[Check] = []
    resolved = resolve(command, os.environ)
    trail = " → ".join(resolved.trail) or join(command)
    if not resolved.interpreter:
        more = "; Python programs that it starts are watched" if resolved.is_other else ""
        if resolved.trail and os.path.basename(resolved.trail[-1]) in _EMBEDDING:
            more = ", but has an interpreter in it, which is watched" + more
        checks.append(Check("command", UNKNOWN if resolved.is_other else NO, f"{trail}: {resolved.reason}{more}"))
    else:
        checks.append(Check("command", YES, trail))
        checks += _interpreter(command, resolved.interpreter, found, resolved.arguments)
    checks += _places()
    checks.append(_configuration(found, resolved.interpreter, resolved.arguments))
    checks += _globs(found)
    return checks


def _is_pex(arguments: list[str]) -> bool:
    """Say whether what an interpreter is given is a PEX: an archive that says so in a file of its own, as pex 2 writes it."""
    try:
        with zipfile.ZipFile(arguments[0]) as archive:
            return "PEX-INFO" in archive.namelist()
    except (IndexError, OSError, zipfile.BadZipFile):
        return False


def _interpreter(command: list[str], interpreter: list[str], found: Origins, arguments: list[str]) -> Iterator[Check]:
    from hookmon.cli import _plan
    from hookmon.cli._versions import libraries_of
    from hookmon.collector import run_folder
    from hookmon.collector.interpreter import ask
    from hookmon.collector.launch import environment

    folder = _plan.make_run_folder()
    try:
        _plan.write(folder, found.config, __version__)
        modules = sorted({root for watch in found.config.watches if (root := Glob(watch.module).root)} - {"__main__"})
        answer = ask(
            interpreter,
            environment(os.environ, folder),
            importable=[*modules, "greenlet"],
            loaded=_AGENTS,
            libraries=[*libraries_of(pack for pack, _ in found.config.offered), ("gevent", "gevent")],
        )
        status = _status(folder)
    except (HookmonError, OSError) as error:
        yield Check("interpreter", NO, str(error))
        return
    finally:
        run_folder.remove(folder)
    yield Check("interpreter", YES if answer.is_supported else NO, f"{answer.name} {answer.version}, {answer.executable}")
    probe = _probe(answer, interpreter, status)
    yield probe
    if answer.is_supported:
        yield _door(answer)
    if answer.probe:
        yield Check("engine", YES, answer.engine + _about_engine(answer), is_needed=False)
    yield from _company(command, answer)
    if probe.answer != NO:  # no pack works without it
        yield from _packs(answer, found)
    if _is_pex(arguments):
        yield _pex(arguments[0], answer)


def _pex(path: str, answer: Interpreter) -> Check:
    """Tell whether a PEX would be watched: it executes the interpreter again that its environment was made from."""
    from hookmon.collector import door

    base = answer.base or answer.executable
    text = f"{path} is a PEX: it executes {base} again, which does not look at PYTHONPATH then"
    try:
        if door.look(door.find_environment(Path(base))).is_current:
            return Check("script", YES, f"{text}, and has a door")
    except HookmonError as error:
        return Check("script", NO, f"{text}; {error}")
    return Check("script", NO, f"{text}; hookmon enable --venv {quote(base)} mends that")


def _door(answer: Interpreter) -> Check:
    """Tell whether `hookmon enable` was here."""
    from hookmon.collector import door
    from hookmon.core.errors import DoorError

    major, minor = (int(part) for part in answer.version.split(".")[:2])
    environment = door.Environment(answer.executable, (major, minor), answer.prefix, Path(answer.site_packages))
    try:
        found = door.look(environment)
    except DoorError as error:
        return Check("door", NOTE, str(error), is_needed=False)
    if not found.files:
        return Check("door", NOTE, f"there is none; {_enabling(answer)} writes one", is_needed=False)
    if not found.is_current:
        text = f"{found.files[0]} is of another hookmon, or an older one; {_enabling(answer)} renews it"
        return Check("door", NOTE, text, is_needed=False)
    return Check("door", YES, f"{found.files[0]}: HOOKMON=1 watches it without hookmon run", is_needed=False)


def _enabling(answer: Interpreter) -> str:
    """Return the command that gives an environment a door."""
    return "hookmon enable" if answer.prefix == sys.prefix else f"hookmon enable --venv {quote(answer.prefix)}"


def _about_engine(answer: Interpreter) -> str:
    """Return why the pure engine serves, or what the compiled one asks CPython for because it is not laid out as expected."""
    if answer.engine != "compiled":
        remedy = f"; {build_command(answer.executable)} builds it" if answer.can_be_built else ""
        return f": {answer.why_pure}; a call costs 1 µs, not 0.1{remedy}"
    if not answer.reads:
        return "; it reads nothing past CPython's interface"
    read = ", ".join(name for name, is_read in answer.reads.items() if is_read) or "nothing"
    asked = ", ".join(name for name, is_read in answer.reads.items() if is_read is False)
    return f"; it reads {read} past CPython's interface" + (f", and not {asked}, which are not as it expects" if asked else "")


def _status(folder: Path) -> str | None:
    """Return what the birth note of the trial says, None when there is none."""
    from hookmon.collector.births import read_birth
    from hookmon.core.layout import BIRTH_SUFFIX

    births = [read_birth(path) for path in sorted(folder.glob(f"*{BIRTH_SUFFIX}"))]
    return next((birth.status for birth in births if birth), None)


def _probe(answer: Interpreter, interpreter: list[str], status: str | None) -> Check:
    from hookmon.collector.unwatched import excluding_option

    if answer.probe and not status:
        return Check("probe", YES, "starts with the interpreter")
    if option := excluding_option([*interpreter, "-c"]):
        remedy = "" if option.startswith("-S") or not answer.is_supported else f"; {_enabling(answer)} mends that"
        return Check("probe", NO, f"the interpreter is started with {option}{remedy}")
    if is_disabled(os.environ):
        return Check("probe", NO, DISABLED)
    if status:
        return Check("probe", NO, status)
    other = f": {answer.sitecustomize} comes first" if answer.sitecustomize else ""
    return Check("probe", NO, f"the interpreter does not look at PYTHONPATH, or finds another sitecustomize first{other}")


def _company(command: list[str], answer: Interpreter) -> Iterator[Check]:
    wrapper = next((os.path.basename(word) for word in command if os.path.basename(word) in _WRAPPERS), "")
    if wrapper:
        yield Check(
            "other tools", NO, f"{wrapper} puts a sitecustomize before ours; start it first: {wrapper} … hookmon run COMMAND"
        )
    elif any(os.path.basename(word) == "tox" for word in command[:3]):
        passed = "pass_env = PYTHONPATH, HOOKMON_RUN, HOOKMON_AGENT"
        yield Check(
            "other tools", NOTE, f"tox gives what it starts a new environment: {passed} brings hookmon in", is_needed=False
        )
    elif answer.loaded:
        yield Check(
            "other tools", NOTE, f"{', '.join(answer.loaded)} at the start of the interpreter; both work", is_needed=False
        )
    else:
        yield Check("other tools", YES, "none at the start of the interpreter", is_needed=False)
    if answer.probe and answer.sitecustomize:
        yield Check("sitecustomize", NOTE, f"{answer.sitecustomize} runs after ours", is_needed=False)
    if "greenlet" in answer.importable:
        what = " ".join(answer.libraries.get("gevent", ["greenlet"]))
        yield Check("greenlets", YES, f"{what} is installed; each greenlet is a lane of its own", is_needed=False)


def _packs(answer: Interpreter, found: Origins) -> Iterator[Check]:
    from hookmon.config.origins import DEFAULT

    targets = {watch.pack: watch.module.partition(".")[0] for watch in found.config.watches}
    for pack in found.packs:
        name = f"pack {pack.name}"
        if not pack.is_on:
            by_itself = pack.origin == DEFAULT
            why = f"off by itself; --pack {pack.name} switches it on" if by_itself else f"switched off: {pack.origin}"
            yield Check(name, NO, why, is_needed=False)
        elif not pack.library:
            yield Check(name, YES, "of the standard library", is_needed=False)
        elif pack.name in targets and targets[pack.name] not in answer.importable:
            yield Check(name, NO, f"{pack.library} is {ABSENT}", is_needed=False)
        else:
            _, version = answer.libraries.get(pack.library, ("", ""))
            yield Check(name, YES, f"{pack.library} {version}".strip(), is_needed=False)


def _places() -> Iterator[Check]:
    from hookmon.cli import _plan, _runs
    from hookmon.collector import run_folder

    try:
        folder = _plan.make_run_folder()
        run_folder.remove(folder)
        yield Check("run folder", YES, f"in {folder.parent}")
    except HookmonError as error:
        yield Check("run folder", NO, str(error))
    except OSError as error:
        yield Check("run folder", NO, f"{error.filename}: {error.strerror}")
    store = _runs.store_here().folder
    above = next((folder for folder in (store, *store.parents) if folder.exists()), store)
    if os.access(above, os.W_OK | os.X_OK):
        yield Check("runs", YES, f"are kept in {store}", is_needed=False)
    else:
        yield Check("runs", NO, f"{store} cannot be written: runs are reported and not kept", is_needed=False)


def _configuration(found: Origins, interpreter: list[str], arguments: list[str]) -> Check:
    config = found.config
    own = sum(not watch.pack for watch in config.watches)
    text = f"{config.path or 'no hookmon.toml'}, {own} of your own watches, {len(config.packs)} packs"
    in_main = any(watch.module == "__main__" for watch in config.watches)
    obstacle = _obstacle_in_main(interpreter, arguments) if in_main and interpreter else ""
    return Check("configuration", NOTE if obstacle else YES, f"{text}{obstacle and '; '}{obstacle}", is_needed=False)


def _globs(found: Origins) -> Iterator[Check]:
    """Tell of each glob of modules or files in a user's watch what it stands for now."""
    from hookmon.collector.hints import Hints, module_names

    config = found.config
    hints = Hints(config.project)
    names = sorted(module_names(config.project))
    for watch in {watch.place: watch for watch in config.watches if not watch.pack}.values():
        files = watch.to_plan(0).get("files", [])
        if files:
            there = sorted({path for file in files for path in iglob(file, recursive=True)})
            what = "file"
        elif is_glob(watch.module):
            there, what = [name for name in names if Glob(watch.module).takes(name)], "module"
        else:
            continue
        if there:
            shown = ", ".join(there[:_MOST_SHOWN]) + ", …" * (len(there) > _MOST_SHOWN)
            text = f"{len(there):,} {what}{'s' * (len(there) > 1)} of the project: {shown}"
            text += f"; of these {MOST_MODULES:,} are watched" if len(there) > MOST_MODULES else ""
        else:
            hint = hints.of_watch(watch.place, files)
            text = hint if files else f"no module of the project is one of these{hint and '; '}{hint}"
        yield Check(f"watch {watch.place}", YES if there else NOTE, text, is_needed=False)


def _obstacle_in_main(interpreter: list[str], arguments: list[str]) -> str:
    """Return why `__main__` may be another module than the user means, "" when there is no reason to think so."""
    first = arguments[0] if arguments else "-"
    if first.startswith("-m"):
        module = first[2:] or (arguments[1] if len(arguments) > 1 else "")
        return f"__main__ is the script of {module}, and what that runs is not seen as such" if module in _NOT_FOLLOWED else ""
    if first.startswith("-"):
        return "__main__ cannot be watched: no script or module is started"
    folder, name = os.path.split(first)
    is_console_script = not name.endswith(".py") and folder == os.path.dirname(interpreter[0])
    if is_console_script and name not in _FOLLOWED:
        return f"__main__ is {first}, the script of a tool: watch the modules that it imports; a script that it runs is not seen"
    return ""
