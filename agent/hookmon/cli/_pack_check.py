"""Tries the targets of packs: imports the modules of each under a real `hookmon run`, and reads what became of the targets.

In: a pack whose library is installed, and an interpreter. Out: what was found of each target. The library runs in a process of
its own, as far as importing it does; what is patched is what a program would get.
"""

from __future__ import annotations

import json
import shutil
import subprocess

from hookmon.core.errors import HookmonError
from hookmon.core.record import Record

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.config.packs import Pack

THERE, LOST, MOVED, NOT_TRIED = "there", "lost", "in other releases", "not tried"

_MARK = "hookmon has tried: "  # whatever a library prints stands elsewhere
_WAIT_S = 120.0
_CONFIG = "propagate = true\n"  # or the targets that propagate would be left out
_PROGRAM = """
import json, sys
found = {}
for name in json.loads(%r):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        found[name] = ["missing", error.name or "", str(error)[:200]]
    except BaseException as error:
        found[name] = ["raised", "", type(error).__name__]
sys.stdout.write("\\n" + %r + json.dumps(found) + "\\n")
"""


class Tried(Record, frozen=True):
    """What was found of one target: `state` is THERE, LOST, MOVED or NOT_TRIED, `detail` the reason, "" for one that is there.

    MOVED is one of a module that this release has not, where the pack has the same call in another one.
    """

    target: str
    state: str
    detail: str = ""


def try_targets(pack: Pack, python: str) -> list[Tried]:
    """Return what became of each target of a pack, in its order. Raises HookmonError where the interpreter cannot be started."""
    from hookmon.config.packs import is_path
    from hookmon.testing.run import run

    named = pack.origin if is_path(pack.origin) else pack.name
    modules = list(dict.fromkeys(watch.module for watch in pack.content.watches))
    try:
        recorded = run(_PROGRAM % (json.dumps(modules), _MARK), packs=[named], python=python, config=_CONFIG, timeout_s=_WAIT_S)
    except subprocess.TimeoutExpired:
        return [Tried(target, NOT_TRIED, "importing the library took too long") for target in pack.targets]
    try:
        said = [line for line in recorded.stdout.splitlines() if line.startswith(_MARK)]
        if not said:
            raise HookmonError(f"{python} ended with {recorded.exit_code} while it imported the modules of {pack.name}")
        fates: dict[str, list[str]] = json.loads(said[-1].removeprefix(_MARK))
        states = recorded.watched
    finally:
        shutil.rmtree(recorded.folder, ignore_errors=True)
    optional = {watch.module for watch in pack.content.watches if watch.adapter == "optional"}
    there = {target.rpartition(":")[2].rpartition(".")[2] for target in pack.targets if _is_there(states.get(target, ""))}
    return [_judge(target, states.get(target, ""), fates, optional, there) for target in pack.targets]


def _is_there(status: str) -> bool:
    return status in ("active", "unused")


def _judge(target: str, status: str, fates: dict[str, list[str]], optional: set[str], there: set[str]) -> Tried:
    module, _, call = target.partition(":")
    if _is_there(status):
        return Tried(target, THERE)
    kind, missing, said = fates.get(module, ["", "", ""])
    if kind == "raised":
        return Tried(target, NOT_TRIED, f"importing {module} raised {said}")
    if kind == "missing" and missing != module and not module.startswith(f"{missing}."):
        return Tried(target, NOT_TRIED, said)
    if kind == "missing":
        is_elsewhere = module in optional or call.rpartition(".")[2] in there
        return Tried(target, MOVED if is_elsewhere else LOST, f"there is no module {module}")
    return Tried(target, LOST, status or "nothing was said of it")
