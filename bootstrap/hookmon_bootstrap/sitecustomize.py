"""What Python imports at start when `hookmon run` put this folder on PYTHONPATH, or the door did (hookmon_door.py).

Starts the probe, leaves sys.path, and then makes room for the user's own sitecustomize, whose import goes on exactly as if
this file had never been there. Parses on every Python, prints nothing, raises nothing of its own.
"""

import os
import sys
import time

_begun_ns = time.thread_time_ns() if sys.version_info >= (3, 7) else 0
_HERE = os.path.dirname(os.path.abspath(__file__))
_open, _write, _close = os.open, os.write, os.close  # the real ones: a test may put others in their place
_monotonic_ns = getattr(time, "monotonic_ns", None)  # from Python 3.7 on


def _read_identity():
    """Return this process's PID namespace, and what the kernel says of it behind its name; empty where there is no /proc."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
        stat = os.open("/proc/self/stat", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            content = os.read(stat, 2048).rpartition(b")")[2]
        finally:
            os.close(stat)
    except (OSError, AttributeError):  # the second before Python 2.7
        return ["", ""]
    return [namespace, content if isinstance(content, str) else content.decode("ascii", "replace")]


def _write_birth_note(run_folder, status):
    """Tell the collector that this process began; core.layout's BIRTH_FIELDS says the shape."""
    started_ns = _monotonic_ns() if _monotonic_ns else int(time.time() * 1000000000)
    version = ".".join([str(part) for part in sys.version_info[:3]])
    fields = [os.getpid(), os.getppid(), started_ns, status, version, sys.executable or ""]
    fields += _read_identity()
    fields += getattr(sys, "orig_argv", None) or getattr(sys, "argv", [])
    content = "\0".join([str(field) for field in fields])
    if not isinstance(content, bytes):
        content = content.encode("utf-8", "surrogateescape")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    note = _open(os.path.join(run_folder, "%d-%d.born" % (os.getpid(), started_ns)), flags, 384)  # 0600
    try:
        _write(note, content)
    finally:
        _close(note)


def _tell(run_folder, status):
    """Write a birth note where that can be done. Where not, the launcher sees that this process never reported."""
    try:
        _write_birth_note(run_folder, status)
    except Exception:
        pass


def _attempt(function):
    """Call a function; return the exception that it raised, None where it raised none. The probe's guard is not there yet."""
    try:
        function()
    except Exception:
        return sys.exc_info()[1]
    return None


def _start_probe(run_folder, agent_folder):
    if sys.version_info < (3, 11):
        _write_birth_note(run_folder, "Python %d.%d is older than 3.11" % sys.version_info[:2])
        return
    _write_birth_note(run_folder, "")
    sys.path.insert(0, agent_folder)
    try:
        from hookmon.probe.start import start
    finally:
        sys.path.remove(agent_folder)
        sys.path_importer_cache.pop(agent_folder, None)
    start(run_folder, lambda status: _tell(run_folder, status), _attempt, _begun_ns)


def _has_other_rights():
    """Say whether this process has rights that its starter has not: by set-user-ID, set-group-ID or file capabilities.

    Such a process does not trust the environment that it was given. The dynamic loader ignores LD_PRELOAD there, and so do we.
    """
    if os.geteuid() != os.getuid() or os.getegid() != os.getgid():
        return True
    if os.geteuid() == 0 or os.access("/proc/self/auxv", os.R_OK):  # closed to a process that got more than its starter has
        return False
    try:
        status = os.open("/proc/self/status", os.O_RDONLY)
    except OSError:
        return False  # not Linux, or no /proc
    try:
        content = os.read(status, 4096)
    finally:
        os.close(status)
    permitted, ambient = [int(content.partition(name)[2].split()[0], 16) for name in (b"\nCapPrm:", b"\nCapAmb:")]
    return permitted & ~ambient != 0  # else it is the program's file that may not be read


def _is_ours(run_folder):
    """Say whether the run folder is a folder of this very user, closed to everybody else as the launcher makes it.

    HOOKMON_RUN outlives its run in daemons and shells. What is in the folder is executed, and a place like /dev/shm lets anybody
    make one of that name once ours is gone.
    """
    status = os.lstat(run_folder)
    is_folder = status.st_mode & 61440 == 16384  # S_IFMT, S_IFDIR
    return is_folder and status.st_uid == os.geteuid() and not status.st_mode & 63  # 0077


def _begin():
    sys.path[:] = [entry for entry in sys.path if entry != _HERE]
    sys.path_importer_cache.pop(_HERE, None)
    run_folder = os.environ.get("HOOKMON_RUN")
    agent_folder = os.environ.get("HOOKMON_AGENT")
    if run_folder and agent_folder and os.environ.get("HOOKMON_DISABLE", "0") in ("", "0"):
        try:
            if _has_other_rights() or not _is_ours(run_folder):
                return
        except Exception:
            return  # there is no such folder any more
        try:
            _start_probe(run_folder, agent_folder)
        except Exception:
            _tell(run_folder, "the probe cannot start: %r" % (sys.exc_info()[1],))


def _is_imported():
    """Say whether this module is being imported, by `site` or by a tool that looks for the next sitecustomize after its own.

    A tool may also have found this file and execute it by its loader, as newrelic 14 does: it knows that there is something.
    """
    frame = sys._getframe(2)
    if sys.version_info < (3, 3):
        return True  # imports have no frames
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        if frame.f_code.co_name == "_find_and_load":
            return True
        frame = frame.f_back
    return False


def _stay_first():
    """Put our folder first on PYTHONPATH again, for child processes, where another tool's start has put its own before it.

    opentelemetry-instrumentation does (seen in 0.66b2), and passes on to nobody; we pass on to it.
    """
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if _HERE in entries and entries[0] != _HERE:
        os.environ["PYTHONPATH"] = os.pathsep.join([_HERE] + [entry for entry in entries if entry != _HERE])


_begin()
if __name__ != "hookmon_late_start":  # the door's name for it, where the user's own has been imported long ago
    _replaced = sys.modules.pop("sitecustomize", None)  # this module, or that of a tool which executes this file in its place
    _was_first = os.environ.get("PYTHONPATH", "").split(os.pathsep)[0] == _HERE
    try:
        import sitecustomize  # noqa: F401  (the user's own; where there is none, whoever imports expects this very ImportError)
    except BaseException as error:
        if _is_imported():
            raise
        if _replaced is not None:
            sys.modules["sitecustomize"] = _replaced
        if getattr(error, "name", "") != "sitecustomize":
            raise
    finally:
        if _was_first:
            _stay_first()
