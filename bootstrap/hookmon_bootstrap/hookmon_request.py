"""Begins a run for a program that no launcher has started: HOOKMON is in its environment, and its environment has the door.

In: the environment of a process that Python is just starting. Out: a run folder with a plan, from `hookmon serve`, which is asked
by a file in its spool, and started where it is not there. `collector/spool.py` is the other side. Standard library only; the
program waits for the answer, for a second and a half at most, and runs unwatched, with one line that says so, where none comes.
"""

import os
import stat
import sys
import time

_OFF = ("", "0")
_WAIT_S = 1.5  # HOOKMON_WAIT says another number
_LONGER_S = 1.0  # for an answer that is being made
_LONGEST_PAUSE_S = 0.02
_PASSED_ON = ("HOME", "HOOKMON_FOLDER", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "TMPDIR")
"""What the collector's side reads of the environment: where files are kept."""

_LEFT_OUT = ("HOOKMON", "PYTHON", "LISTEN_", "NOTIFY_", "WATCHDOG_", "MAINPID", "JOURNAL_STREAM", "LD_PRELOAD")
"""What the collector does not get of the program's environment, by the beginnings of names."""

_FORK = "import os, sys\nif os.fork(): os._exit(0)\nos.execv(sys.argv[1], sys.argv[1:])\n"
_SERVE = "import sys\nsys.path += sys.argv[1:3]\ndel sys.argv[1:3]\nfrom hookmon.cli.main import main\nmain()\n"


def is_wanted():
    """Say whether this process is a program to begin a run for.

    Not hookmon itself, nor one that has rights which its starter has not: that one does not trust its environment.
    """
    if os.environ.get("HOOKMON", "0") in _OFF or _has_other_rights():
        return False
    words = sys.orig_argv[1:4]
    return not any(os.path.basename(word) == "hookmon" or word.startswith("hookmon.") for word in words)


def _has_other_rights():
    if os.geteuid() != os.getuid() or os.getegid() != os.getgid():
        return True
    auxv = "/proc/self/auxv"  # closed to a process with capabilities that its starter has not
    return os.geteuid() != 0 and os.path.exists(auxv) and not os.access(auxv, os.R_OK)


def begin(agent_folder, interpreter):
    """Return the run folder of a new run that this process is the main one of, "" where there is none."""
    spool = _spool()
    if not spool:
        return _refuse("there is no place for its files: /dev/shm and /tmp cannot be written, or somebody else was first")
    path = os.path.join(spool, "%d-%d" % (os.getpid(), time.monotonic_ns()))
    try:
        _write(path + ".request", _describe())
        child = _wake(spool, path, agent_folder, interpreter)
    except OSError as error:
        return _refuse("hookmon serve cannot be asked: %s" % error)
    answer = _wait(path, child)
    word, _, rest = answer.partition(" ")
    if word == "run":
        return rest
    return _refuse(rest or "hookmon serve did not answer in time (HOOKMON_WAIT=%g)" % _seconds())


def _wake(spool, path, agent_folder, interpreter):
    """Wake the collector, or start one; return the pid of a child that will answer and end, 0 for none."""
    interpreter = [interpreter, "-I", "-c", _SERVE, agent_folder, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    if not _ring(spool):
        if os.getpid() == 1:  # whatever it starts stays its child, and it may wait for any: so it waits for this one here
            return _spawn([*interpreter, "serve", "--once", os.path.basename(path)], spool)
        _reap(_spawn([interpreter[0], "-I", "-S", "-c", _FORK, *interpreter, "serve", "--idle", "120"], spool))
    return 0


def _spool():
    """Return the folder in which this user's collector is asked, "" where none can be used. It is closed to everybody else."""
    user = os.geteuid()
    named = os.environ.get("HOOKMON_FOLDER")
    try:
        pids = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        pids = 0
    for place in (named,) if named else ("/dev/shm", "/tmp"):
        path = os.path.join(os.path.abspath(place), "hookmon.serve.%d.%d" % (user, pids))
        try:
            if named:
                os.makedirs(place, exist_ok=True)
            try:
                os.mkdir(path, 448)  # 0700
            except FileExistsError:
                pass
            status = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 63:
            return path
    return ""


def _describe():
    """Return the request: who this process is, and where its configuration and its runs are. spool.Request has the shape."""
    try:
        folder = os.getcwd()
    except OSError:
        folder = "/"
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
        with open("/proc/self/stat", "rb") as file:
            known = file.read().rpartition(b")")[2].decode("ascii", "replace")
    except OSError:
        namespace, known = "", ""
    variables = ["%s=%s" % (name, os.environ[name]) for name in _PASSED_ON if name in os.environ]
    fields = ["1", os.getpid(), namespace, known, os.environ["HOOKMON"], folder, sys.executable or "", len(variables)]
    return "\0".join(str(field) for field in [*fields, *variables, *sys.orig_argv]).encode("utf-8", "surrogateescape")


def _write(path, content):
    """Write a file that is whole as soon as it is there."""
    file = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 384)  # 0600
    try:
        os.write(file, content)
    finally:
        os.close(file)
    os.rename(path + ".new", path)


def _ring(spool):
    """Wake the collector; say whether there is one. It has the bell open as long as it lives, and sees who opens it."""
    try:
        os.close(os.open(os.path.join(spool, "bell"), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW))
    except OSError:
        return False
    return True


def _spawn(command, spool):
    """Start a command that has nothing of this process: no descriptor, no terminal, no signal kept back; return its pid."""
    log = os.path.join(spool, "log")
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    actions += [(os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 384)]
    actions += [(os.POSIX_SPAWN_DUP2, 1, 2)]
    actions += [(os.POSIX_SPAWN_CLOSE, number) for number in _descriptors()]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT) or name == "HOOKMON_FOLDER"
    }
    more = {"setsid": True, "setsigmask": [], "setsigdef": _catchable()}
    return os.posix_spawn(command[0], command, environment, file_actions=actions, **more)


def _descriptors():
    """Return what is open beyond the standard streams and would be inherited."""
    found = []
    for name in os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:  # that of the listing itself
            pass
    return found


def _catchable():
    """Return the signals whose handling can be set back."""
    import _signal

    return [number for number in _signal.valid_signals() if number not in (_signal.SIGKILL, _signal.SIGSTOP)]


def _reap(child):
    """Wait for a child of ours that ends at once."""
    try:
        os.waitpid(child, 0)
    except ChildProcessError:  # whoever started this program had SIGCHLD ignored
        pass


def _seconds():
    try:
        return max(0.0, min(float(os.environ.get("HOOKMON_WAIT", _WAIT_S)), 60.0))
    except ValueError:
        return _WAIT_S


def _wait(path, child):
    """Return the answer to a request, "" where none came in time. A child that makes it is gone afterwards."""
    end = time.monotonic() + _seconds()
    pause = 0.001
    is_taken_back = False
    while True:
        try:
            with open(path + ".answer", "rb") as file:
                answer = file.read().decode("utf-8", "surrogateescape")
            os.unlink(path + ".answer")
            break
        except OSError:
            pass
        if time.monotonic() > end:
            answer = ""
            if is_taken_back:
                break
            try:
                os.unlink(path + ".request")
                break
            except OSError:  # it is just being answered
                is_taken_back = True
                end += _LONGER_S
        time.sleep(pause)
        pause = min(pause * 1.3, _LONGEST_PAUSE_S)
    if child:
        if not answer:
            os.kill(child, 9)
        _reap(child)
    return answer


def _refuse(reason):
    """Tell why the program runs unwatched, in one line."""
    try:
        os.write(2, ("hookmon: %s; the program runs unwatched [not-served]\n" % reason).encode("utf-8", "replace"))
    except OSError:
        pass
    return ""
