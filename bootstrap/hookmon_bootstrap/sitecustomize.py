"""What Python imports at start when `hookmon run` put this folder on PYTHONPATH.

Starts the probe, leaves sys.path, and then makes room for the user's own sitecustomize, whose import goes on exactly as if
this file had never been there. Parses on every Python, prints nothing, raises nothing of its own.
"""

import os
import sys


def _write_birth_note(run_folder, status):
    """Tell the collector that this process began; core.layout's BIRTH_FIELDS says the shape."""
    try:
        import time

        started_ns = time.monotonic_ns()
    except AttributeError:  # before Python 3.7
        started_ns = int(time.time() * 1000000000)
    version = ".".join([str(part) for part in sys.version_info[:3]])
    fields = [os.getpid(), os.getppid(), started_ns, status, version, sys.executable or ""]
    fields += getattr(sys, "orig_argv", None) or getattr(sys, "argv", [])
    content = "\0".join([str(field) for field in fields])
    if not isinstance(content, bytes):
        content = content.encode("utf-8", "surrogateescape")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    note = os.open(os.path.join(run_folder, "%d-%d.born" % (os.getpid(), started_ns)), flags, 384)  # 0600
    try:
        os.write(note, content)
    finally:
        os.close(note)


def _tell(run_folder, status):
    """Write a birth note where that can be done. Where not, the launcher sees that this process never reported."""
    try:
        _write_birth_note(run_folder, status)
    except Exception:
        pass


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
    start(run_folder, lambda status: _tell(run_folder, status))


def _begin():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != here]
    sys.path_importer_cache.pop(here, None)
    run_folder = os.environ.get("HOOKMON_RUN")
    agent_folder = os.environ.get("HOOKMON_AGENT")
    if run_folder and agent_folder and os.environ.get("HOOKMON_DISABLE", "0") in ("", "0"):
        try:
            _start_probe(run_folder, agent_folder)
        except Exception:
            _tell(run_folder, "the probe cannot start: %r" % (sys.exc_info()[1],))


_begin()
del sys.modules["sitecustomize"]
import sitecustomize  # noqa: E402, F401  (the user's own; where there is none, site expects this very ImportError)
