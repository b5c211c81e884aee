"""Why the probe is not in a process, read from the process itself.

In: a process that lives. Out: half a sentence. Runs in the launcher.
"""

from __future__ import annotations

import os
from pathlib import Path

from hookmon.collector.facts import Facts
from hookmon.collector.run_folder import PREFIX

_OUR_VARIABLE = "HOOKMON_RUN"
SHADOWED = "has a sitecustomize of its own before ours"
FOREIGN = "is not a Python program"
GONE = "it ended before it could be looked at"
REPLACED = "its environment was replaced"

_EXCLUDING = {"I": "isolated", "E": "ignores the environment", "S": "without site"}
"""Python's own options with which it imports no sitecustomize from PYTHONPATH."""


def unwatched_reason(facts: Facts, command: list[str]) -> str:
    """Return why the probe cannot be in a process, "" when nothing speaks against it."""
    name = name_of(facts, command)
    other = other_rights(facts)
    if not name:
        return f"it {other}" if other else GONE
    if not is_python(name):
        return f"{name} {other or FOREIGN}"
    if other:
        return f"it {other}"
    if option := excluding_option(command):
        return f"Python was started with {option}"
    from hookmon.core.switch import DISABLED, is_disabled  # few processes come this far

    try:
        environment = facts.environment()
    except OSError:
        return ""
    if is_disabled(environment):
        return DISABLED
    if _OUR_VARIABLE not in environment or "PYTHONPATH" not in environment:
        return f"{REPLACED}: HOOKMON_RUN or PYTHONPATH is missing"
    return _shadowed_reason(environment)


def name_of(facts: Facts, command: list[str]) -> str:
    """Return the file name of what a process runs: of its executable, or as it is called where that says more or is not told."""
    name = Path(command[0]).name if command else ""
    try:
        executable = Path(facts.executable()).name
    except OSError:
        return name
    return executable if is_python(executable) or not name else name


def other_rights(facts: Facts) -> str:
    """Say that a process runs with other rights than its launcher's, "" where it does not: then the probe stays out of it."""
    try:
        (user, effective_user), (group, effective_group) = facts.users(), facts.groups()
    except (OSError, ValueError):
        return ""
    if effective_user != user or effective_group != group:
        return "runs with another user's rights (set-user-ID or set-group-ID)"
    if effective_user != os.geteuid() and not _has_way_in(facts.pid):
        from hookmon.collector.users import user_name

        name = user_name(effective_user)
        return f"runs as user {name}, to whom the run folder is closed: start hookmon run as {name}"
    return ""


def _has_way_in(pid: int) -> bool:
    """Say whether a process has a run folder open, inherited from when it was root (see probe/recording/arena.py).

    True when not known.
    """
    try:
        return any(f"/{PREFIX}" in os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return True


def _shadowed_reason(environment: dict[str, str]) -> str:
    """Return whose sitecustomize stands before ours on PYTHONPATH, as other agents put theirs there; "" for nobody's."""
    for entry in environment["PYTHONPATH"].split(os.pathsep):
        if entry and (Path(entry) / "sitecustomize.py").is_file():
            if Path(entry).name == "hookmon_bootstrap":
                return ""
            return f"{entry} {SHADOWED}; start that tool first: TOOL … hookmon run COMMAND"
    return ""


def is_python(name: str) -> bool:
    """Say whether a file is called as a Python interpreter is."""
    return name.startswith(("python", "pypy")) or name in ("Python",)


def excluding_option(command: list[str]) -> str:
    """Return the option with which an interpreter does not come to our sitecustomize, "-I (isolated)"; "" without one."""
    _, _, flags = split_options(command)
    return next((f"-{flag} ({meaning})" for flag, meaning in _EXCLUDING.items() if flag in flags), "")


def split_options(command: list[str]) -> tuple[list[str], list[str], str]:
    """Return an interpreter with its own options, the rest (-c, -m or a script, with arguments), and the letters of its flags."""
    own = command[:1]
    rest = command[1:]
    flags = ""
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest[0]
        if word == "--check-hash-based-pycs":
            own += rest[:2]
            rest = rest[2:]
            continue
        letters = "" if word.startswith("--") else word[1:]
        end = next((at for at, letter in enumerate(letters) if letter in "cmWX"), len(letters))
        flags += letters[:end]
        if letters[end:].startswith(("c", "m")):
            own += ["-" + letters[:end]] if end else []
            return own, ["-" + letters[end:], *rest[1:]], flags
        takes_next = end == len(letters) - 1  # -W or -X without its value
        own += rest[: 2 if takes_next else 1]
        rest = rest[2 if takes_next else 1 :]
    return own, rest, flags
