"""A program that runs already: whether hookmon can be attached to it, and what it is asked to execute.

In: a pid. Out: a Target, or one line that says why not; requests, and the answers that processes leave in the run folder. Runs in
the launcher. `sys.remote_exec` works only between interpreters of the same version. So the program's own interpreter is started
for each request, with nothing but the standard library.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from hookmon.collector.identity import age_ns, look_at, read_status
from hookmon.collector.unwatched import is_python, split_options
from hookmon.collector.users import user_name
from hookmon.core import attachment
from hookmon.core.errors import AttachError, NotRunningError
from hookmon.core.record import Record
from hookmon.core.switch import DISABLED, is_disabled

OLDEST = (3, 14)
_LIBRARY = re.compile(r"/libpython(\d)\.(\d+)[a-z]*\.(?:so|dylib)")
_TIMEOUT_S = 30
_NOTHING = "/dev/null"
ENDED = "it has ended"

_ASK = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
_SEND = """
import sys
script = sys.argv[1]
for pid in sys.argv[2:]:
    try:
        sys.remote_exec(int(pid), script)
        reason = ""
    except BaseException as error:
        while error.__context__ is not None and not isinstance(error, PermissionError):
            error = error.__context__
        reason = type(error).__name__ + ": " + str(error).replace(chr(10), " ")
    print(pid, reason)
"""


class Target(Record):
    """A process that hookmon can be attached to. `started` is identity.Stat's, `sender` an interpreter of its version."""

    pid: int
    started: int
    image: int
    age_ns: int
    command: list[str]
    sender: list[str]

    def is_there(self) -> bool:
        """Say whether it still runs, and still runs the same program."""
        try:
            stat = look_at(self.pid)
        except OSError:
            return True  # no descriptor is left, say: it is asked again soon
        return stat is not None and not stat.has_ended and stat.started == self.started and stat.image == self.image


def find_target(pid: int) -> Target:
    """Return a process that can be attached to. Raises NotRunningError where there is none, AttachError where it cannot."""
    if sys.platform != "linux":
        raise AttachError("hookmon attach needs Linux and its /proc", code="attach-refused")
    try:
        stat = look_at(pid)
    except OSError as error:
        raise AttachError(f"process {pid} cannot be looked at: {error.strerror}", code="attach-refused") from error
    if stat is None or stat.has_ended:
        raise NotRunningError(f"process {pid} is not running")
    try:
        process = psutil.Process(pid)
        users, groups = process.uids(), process.gids()
        command = process.cmdline()
    except psutil.Error as error:
        raise NotRunningError(f"process {pid} has just ended") from error
    if len(set(users)) > 1 or len(set(groups)) > 1:
        raise AttachError(f"process {pid} runs with rights that its starter has not, and is left alone", code="attach-foreign")
    if users.effective != os.geteuid():  # root, too, would have to execute what that user can write
        user = user_name(users.effective)
        raise AttachError(f"process {pid} belongs to {user}: sudo -u {user} hookmon attach {pid}", code="attach-foreign")
    _refuse_other_place(pid)
    sender = _sender(process, command)
    _refuse_switched_off(process, command)
    return Target(pid, stat.started, stat.image, age_ns(stat), command, sender)


def _refuse_other_place(pid: int) -> None:
    """Raise AttachError where the process does not see the files that hookmon would hand to it: a container, another root."""
    try:
        is_elsewhere = (
            os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt") or os.readlink(f"/proc/{pid}/root") != "/"
        )
    except OSError as error:
        raise AttachError(f"process {pid} cannot be looked at: {error.strerror}", code="attach-foreign") from error
    status = read_status(pid)
    if is_elsewhere or (status is not None and status.is_nested):
        text = f"process {pid} lives in a container or under another root, and cannot see hookmon: attach from in there"
        raise AttachError(text, code="attach-foreign")


def _sender(process: psutil.Process, command: list[str]) -> list[str]:
    """Return an interpreter of the same version as that of a process. Raises AttachError where it has none, or an older one."""
    try:
        executable = process.exe()
    except (psutil.Error, OSError):
        executable = ""
    version, candidates = _library_version(process), []
    if is_python(Path(executable).name):
        version = _version_of(executable) or version
        candidates.append(executable)
    if version is None:
        name = Path(executable or (command or ["it"])[0]).name
        raise AttachError(f"process {process.pid} is no Python program, it is {name}", code="attach-no-python")
    if version < OLDEST:
        text = (
            f"process {process.pid} runs Python {version[0]}.{version[1]}, and attaching needs 3.14: start it with hookmon run "
            f"(--samples beside counts), or look at it with py-spy top --pid {process.pid}"
        )
        raise AttachError(text, code="attach-no-python")
    candidates += [sys.executable, shutil.which(f"python{version[0]}.{version[1]}") or ""]
    for candidate in filter(None, candidates):
        if _version_of(candidate) == version:
            return [candidate, "-I", "-S"]
    name = f"python{version[0]}.{version[1]}"
    text = f"process {process.pid} embeds Python, and can only be reached by a {name}, which is not on PATH"
    raise AttachError(text, code="attach-refused")


def _library_version(process: psutil.Process) -> tuple[int, int] | None:
    """Return the version of the Python library that a process has loaded, None where it has none."""
    with suppress(psutil.Error, OSError):
        for mapped in process.memory_maps():
            found = _LIBRARY.search(mapped.path)
            if found:
                return int(found[1]), int(found[2])
    return None


def _version_of(executable: str) -> tuple[int, int] | None:
    """Return the version of an interpreter, None where it is no CPython that can be started."""
    try:
        done = subprocess.run(
            [executable, "-E", "-S", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        version, name = done.stdout.split()
        major, minor = version.split(".")
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return (int(major), int(minor)) if name == "cpython" else None


def _refuse_switched_off(process: psutil.Process, command: list[str]) -> None:
    """Raise AttachError where the program does not want it.

    CPython refuses by itself, but for -X disable_remote_debug: so its manual spelt the option, and it reads disable-remote-debug
    alone (3.14, 3.15). Whoever starts a program so has said what is meant.
    """
    _, _, flags = split_options(command)
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        environment = {}
    if is_disabled(environment):
        raise AttachError(f"process {process.pid} does not want to be watched: {DISABLED} in it", code="attach-refused")
    option = next((option for option in _extra_options(command) if option.replace("_", "-") == "disable-remote-debug"), "")
    if option:
        reason = f"it was started with -X {option}"
    elif "PYTHON_DISABLE_REMOTE_DEBUG" in environment and not set("IE") & set(flags):  # by any value
        reason = "PYTHON_DISABLE_REMOTE_DEBUG is set in it"
    else:
        return
    raise AttachError(f"process {process.pid} refuses: {reason}", code="attach-refused")


def _extra_options(command: Sequence[str]) -> Iterator[str]:
    """Yield the values of -X in a command."""
    options, _, _ = split_options(list(command))
    for at, word in enumerate(options):
        if word == "-X" and at + 1 < len(options):
            yield options[at + 1].partition("=")[0]
        elif word.startswith("-") and not word.startswith("--") and "X" in word:
            yield word.partition("X")[2].partition("=")[0]


def write_scripts(folder: Path, agent: Path) -> None:
    """Write what processes are to execute into a run folder. Raises OSError."""
    for verb in (attachment.ATTACH, attachment.DETACH):
        path = folder / attachment.script_name(verb)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(attachment.script(verb, str(agent), str(folder)))


def agent_folder() -> Path:
    """Return the folder that hookmon is imported from."""
    return Path(__file__).resolve().parents[2]


def request(sender: Sequence[str], script: str | Path, pids: Iterable[int]) -> dict[int, str]:
    """Ask processes to execute a script at their next safe point; return {pid: why it cannot be asked, "" where it was}."""
    pids = list(pids)
    command = [*sender, "-c", _SEND, str(script), *map(str, pids)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return dict.fromkeys(pids, str(error))
    answers: dict[int, str] = {}
    for line in done.stdout.splitlines():
        pid, _, reason = line.partition(" ")
        if pid.isdecimal():
            answers[int(pid)] = reason
    failed = done.stderr.strip().rpartition("\n")[2] or "its interpreter cannot be started"
    return {pid: answers.get(pid, failed) for pid in pids}


def withdraw(sender: Sequence[str], pids: Iterable[int]) -> None:
    """Take requests back that were not executed yet: an empty script takes the place of ours."""
    request(sender, _NOTHING, pids)


def answer_of(folder: Path, pid: int, verb: str) -> str | None:
    """Return what a process has answered, None where it has not yet."""
    try:
        return (folder / attachment.answer_name(pid, verb)).read_text("utf-8", "replace")
    except OSError:
        return None


def forget_answers(folder: Path, pids: Iterable[int], verb: str) -> None:
    """Delete answers, so that the next one is a new one."""
    for pid in pids:
        with suppress(OSError):
            (folder / attachment.answer_name(pid, verb)).unlink()


def waits_for(pid: int) -> str:
    """Return what keeps a process's main thread from its next safe point, as far as the kernel tells."""
    try:
        place = Path(f"/proc/{pid}/wchan").read_text("ascii").strip("0\n ")
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except (OSError, ValueError, IndexError):
        return "its main thread has not come to a safe point"
    if state in ("T", "t"):
        return "it is stopped"
    if state == "R":
        return "its main thread is busy in C code"
    return f"its main thread waits in the kernel{f' ({place})' if place else ''}"


def describe_refusal(pid: int, reason: str) -> AttachError:
    """Return the error for a request that the kernel or CPython has refused."""
    if "PermissionError" in reason or "not permitted" in reason.lower():
        scope = ""
        with suppress(OSError):
            scope = Path("/proc/sys/kernel/yama/ptrace_scope").read_text("ascii").strip()
        because = f" (kernel.yama.ptrace_scope is {scope})" if scope not in ("", "0") else ""
        text = f"the kernel does not let process {pid} be reached{because}: it takes CAP_SYS_PTRACE, or a scope of 0"
        return AttachError(text, code="attach-refused")
    if "not enabled in the remote process" in reason:
        return AttachError(f"process {pid} refuses: remote debugging is switched off in it", code="attach-refused")
    return AttachError(f"process {pid} cannot be reached: {reason[:300]}", code="attach-refused")


def wait_for_answers(folder: Path, verb: str, pids: Iterable[int], seconds: float) -> dict[int, str]:
    """Return {pid: answer} of those that have answered in time; ENDED is that of a process which is gone."""
    answers: dict[int, str] = {}
    pending = set(pids)
    end = time.monotonic() + seconds
    while pending:
        for pid in list(pending):
            answer = answer_of(folder, pid, verb)
            if answer is None and not psutil.pid_exists(pid):
                answer = ENDED
            if answer is not None:
                answers[pid] = answer
                pending.discard(pid)
        if time.monotonic() >= end:
            break
        time.sleep(0.01)
    return answers
