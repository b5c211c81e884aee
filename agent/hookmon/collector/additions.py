"""What is added to the plan of a run while it goes on, and what is taken out: files that `hookmon reload` leaves beside the plan.

In: the watches of a configuration that was read again, and those of the run. Out: what differs; files in the run folder, from
which its processes, those that start later, and its launcher have it. Runs on the launcher's side, in any process.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from hookmon.collector import run_folder
from hookmon.core import plan
from hookmon.core.errors import HookmonError
from hookmon.core.globs import is_glob
from hookmon.core.record import Record, field
from hookmon.core.switches import Lines

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

    from hookmon.collector.store import Run

    Watch = dict[str, Any]

_LARGEST = 16 << 20
_READ_STILL = 3  # so many additions ago no process reads any more: each has those before in it
_BESIDES = ("id", "source", "calls")  # keys of a watch that do not say what becomes of a call


class Difference(Record):
    """What a configuration has that a run has not, and the other way round.

    `added` are watches that are put in, with ids of their own; `out` lines of targets that are taken out (core.switches), but for
    those that `kept` takes; `restarts` says what takes a restart, and why, a sentence each.
    """

    added: list[Watch] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)


def difference(known: list[Watch], wanted: list[Watch], first_id: int) -> Difference:
    """Return what is to be done to a run whose plan, with all additions, is `known`, so that it is as `wanted`.

    Watches are told apart by each module and call. Added ones are numbered from `first_id` on.
    """
    found = Difference()
    before, after = _by_call(known), _by_call(wanted)
    lines = Lines(_line(module, call) for module, call in after)
    packs = {watch["pack"] for watch in wanted}
    for (module, call), watch in before.items():
        line = _line(module, call)
        if (module, call) in after or (watch["pack"] and watch["pack"] in packs and not is_glob(line) and lines.takes(line, "")):
            continue
        if watch["pack"] and watch["pack"] not in packs:
            found.out.append(watch["pack"])
        elif watch.get("files"):
            found.restarts.append(f"{line} is by its file, and stays until then")
        elif is_glob(line) or not lines.takes(line, ""):
            found.out.append(line)
    found.out = list(dict.fromkeys(found.out))
    found.kept = [] if not any(is_glob(line) for line in found.out) else [_line(*key) for key in after if not after[key]["pack"]]
    for (module, call), watch in after.items():
        there = before.get((module, call))
        if there is not None:
            changed = [key for key in {**there, **watch} if key not in _BESIDES and there.get(key) != watch.get(key)]
            if changed:
                found.restarts.append(f"{_line(module, call)} is watched already, and differs in {', '.join(changed)}")
        elif watch.get("files") or is_glob(module) or watch.get("own"):
            found.restarts.append(f"{_line(module, call)} stands for several modules, of which some are there already")
        else:
            _add(found.added, watch, call, first_id)
    return found


def _by_call(watches: list[Watch]) -> dict[tuple[str, str], Watch]:
    return {(watch["module"], call): watch for watch in watches for call in watch["calls"]}


def _line(module: str, call: str) -> str:
    return f"{module}:{call}"


def _add(added: list[Watch], watch: Watch, call: str, first_id: int) -> None:
    for there in added:
        if all(there.get(key) == watch.get(key) for key in {**there, **watch} if key not in ("id", "calls")):
            there["calls"].append(call)
            return
    added.append({**watch, "id": first_id + len(added), "calls": [call]})


class Additions(Record):
    """What was added to the plan of a run until now, and how often."""

    number: int = 0
    watches: list[Watch] = field(default_factory=list)


def read(folder: Path) -> Additions:
    """Return what was added to the plan of a run; nothing where nobody has, or its folder is gone or holds nonsense."""
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        descriptor = os.open(folder / run_folder.ADDITIONS_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            content: Any = json.loads(file.read(_LARGEST))
        watches = content["watches"]
        if isinstance(content["number"], int) and all(_is_watch(watch) for watch in watches):
            return Additions(content["number"], watches)
    return Additions()


def _is_watch(watch: Any) -> bool:
    of_types = {"id": int, "module": str, "calls": list, "pack": str, "source": str}
    return isinstance(watch, dict) and all(isinstance(watch.get(key), kind) for key, kind in of_types.items())


def plan_of(run: Run) -> list[Watch]:
    """Return all watches of a run, with what was added while it went on."""
    known = {watch["id"] for watch in run.plan}
    return run.plan + [watch for watch in read(Path(run.run_folder)).watches if watch["id"] not in known]


def write(folder: Path, additions: Additions, whole: dict[str, Any], modules: bytes) -> None:
    """Write an addition for the processes that run, and the whole plan with its list of modules for those that start later.

    Raises HookmonError where the folder cannot be written.
    """
    content = {"number": additions.number, "watches": additions.watches}
    try:
        _replace(folder / plan.addition_name(additions.number), plan.encode(content))
        with suppress(OSError):
            (folder / plan.addition_name(additions.number - _READ_STILL)).unlink()
        _replace(folder / run_folder.ADDITIONS_NAME, json.dumps(content).encode())
        _replace(folder / plan.FILE_NAME, plan.encode(whole))
        _replace(folder / plan.MODULES_FILE_NAME, modules)
    except OSError as error:
        raise HookmonError(f"the run cannot be changed: {error.strerror}: {folder}", code="not-switched") from error


def _replace(path: Path, content: bytes) -> None:
    """Have a file hold something else, from one moment to the next."""
    unfinished = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
    unfinished.replace(path)
