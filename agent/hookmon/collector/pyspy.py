"""py-spy: reads the stacks of a process from outside, by the kernel's process_vm_readv.

In: a pid. Out: a Window of stacks for some seconds. Runs in the launcher, and starts py-spy as a process of its own, which ends
with the process that it reads, after some seconds, or when it is told to. The program is not stopped (`--nonblocking`): stopping
it for each sample goes by ptrace, which ends some system calls early, and leaves a program stopped whose sampler is killed.

Seen in py-spy 0.4.2 and 0.4.3: which thread is busy is asked before its stack is read; the moments are drawn at random, about the
rate asked for; `--duration` counts moments; the format `speedscope` has whole file names, and keeps threads and frames apart.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import sysconfig
from pathlib import Path

from hookmon.collector.run_folder import SAMPLES_SUFFIX as SUFFIX
from hookmon.collector.samples import Frame, Window

WINDOW_S = 10
"""How long one py-spy works, and so what may be lost with it, and how old what is known can be."""

_ERRORS = re.compile(rb"Errors: (\d+)")
_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
_LIMITS = {
    "1": "only the parents of a process may, and whom it allows (kernel.yama.ptrace_scope is 1)",
    "2": "only root may (kernel.yama.ptrace_scope is 2)",
}
_LONGEST_REASON = 300
_INSTALL = "pip install 'hookmon[samples]'"


def find() -> str:
    """Return the path of py-spy: that of hookmon's own environment, else the one on PATH; "" for none."""
    own = os.path.join(sysconfig.get_path("scripts"), "py-spy")
    return own if os.access(own, os.X_OK) else shutil.which("py-spy") or ""


def why_not() -> str:
    """Return why nothing can be sampled here at all, "" where nothing is known to be in the way."""
    if not hasattr(os, "pidfd_open"):
        return (
            "this system has no descriptors of processes (Linux has, from 5.3 on), without which a sampler cannot be ended safely"
        )
    if not find():
        return f"py-spy is not installed: {_INSTALL}"
    if scope() == "3":
        return "this kernel lets nobody read another process (kernel.yama.ptrace_scope is 3)"
    return ""


def scope() -> str:
    """Return what the Yama security module allows of ptrace, "" where there is none (the kernel's admin-guide/LSM/Yama)."""
    try:
        return _SCOPE.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def needs_consent(ptrace_scope: str, capabilities: int) -> bool:
    """Say whether a process has to allow it to be read by others than its parents. py-spy is a child of the launcher, no parent.

    `capabilities` are the launcher's effective ones, as in /proc/self/status.
    """
    return ptrace_scope == "1" and not capabilities >> _CAP_SYS_PTRACE & 1


def tracer() -> int:
    """Return the pid that the program has to name as its tracer, 0 where it needs not."""
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
        capabilities = int(status.partition("\nCapEff:")[2].split()[0], 16)
    except (OSError, ValueError, IndexError):
        return 0
    return os.getpid() if needs_consent(scope(), capabilities) else 0


_CAP_SYS_PTRACE = 19  # linux/capability.h


class Recording:
    """One py-spy at work on one process."""

    def __init__(self, program: str, pid: int, rate: int, stem: Path) -> None:
        """Start it. Its files are `stem` with two endings. Raises OSError."""
        self.pid = pid
        self._output, self._log = Path(f"{stem}{SUFFIX}"), Path(f"{stem}.log{SUFFIX}")
        command = [program, "record", "--pid", str(pid), "--rate", str(rate), "--nonblocking", "--hideprogress"]
        command += ["--duration", str(WINDOW_S), "--format", "speedscope", "--output", str(self._output)]
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self._log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOOKMON_", "RUST_"))}
        # A session of its own: what the terminal sends to the program's process group is not for it. The launcher has all signals
        # blocked, and a child would inherit that.
        self._helper = os.posix_spawn(
            program,
            command,
            environment,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=signal.valid_signals() - _FIXED,
        )
        try:
            self._descriptor = os.pidfd_open(self._helper)
        except OSError:  # the launcher has reaped it already
            self._descriptor = -1
        self.cpu_ns = 0

    def has_ended(self) -> bool:
        """Say whether py-spy has ended."""
        if self._descriptor < 0:
            return True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def look_at_cost(self) -> None:
        """Note what processor time it has used so far."""
        from hookmon.collector.identity import look_at

        with contextlib.suppress(OSError):
            stat = look_at(self._helper)
            if stat is not None and not self.has_ended():
                self.cpu_ns = max(self.cpu_ns, stat.cpu_ns)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Tell it to write what it has, and to end; with SIGKILL, to end at once."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._descriptor, number)

    def take(self) -> tuple[Window | None, str]:
        """Return what an ended py-spy has read, and why there is nothing, "" where there is something. Deletes its files."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            with contextlib.suppress(OSError):  # the launcher's thread may have been first
                os.waitpid(self._helper, os.WNOHANG)
        try:
            log = self._log.read_bytes()
            try:
                window = parse(self._output.read_bytes())
            except FileNotFoundError:
                return None, _reason(log)
            errors = _ERRORS.findall(log)
            window.lost = int(errors[-1]) if errors else 0
            return window, ""
        except (OSError, ValueError, LookupError, TypeError) as error:
            return None, f"what py-spy wrote cannot be read: {error}"[:_LONGEST_REASON]
        finally:
            for path in (self._output, self._log):
                with contextlib.suppress(OSError):
                    path.unlink()


_FIXED = frozenset((signal.SIGKILL, signal.SIGSTOP))


def parse(content: bytes) -> Window:
    """Return the stacks of a file in speedscope's format. Raises LookupError, TypeError, ValueError for another one."""
    document = json.loads(content)
    frames = [Frame(row["name"], row["file"] or "", row["line"] or 0) for row in document["shared"]["frames"]]
    stacks = [tuple(frames[at] for at in sample) for profile in document["profiles"] for sample in profile["samples"]]
    return Window(stacks)


def _reason(log: bytes) -> str:
    """Return why py-spy has read nothing, in its own words where we have none."""
    text = log.decode("utf-8", "replace")
    if "ermission denied" in text or "Permission Denied" in text or "Operation not permitted" in text:
        return (
            f"it may not be read: {_LIMITS.get(scope(), 'another user has it, or the container lacks the capability SYS_PTRACE')}"
        )
    version = re.search(r"Unsupported version of Python: ([\w.+]+)", text)
    if version:
        return f"this py-spy does not know Python {version[1]}: install a newer one"
    if "Failed to find python version" in text or "Failed to find a python interpreter" in text:
        return "py-spy finds no interpreter in it: it is linked in a way that it does not know"
    causes = [line.strip() for line in text.splitlines() if line.strip()]
    first = next((line for line in causes if line.startswith("Error:")), causes[-1] if causes else "")
    return f"py-spy: {first.removeprefix('Error: ') or 'it ended without a word'}"[:_LONGEST_REASON]
