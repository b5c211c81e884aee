"""The probe's first steps: what happens in a process before its program runs, and when watched modules are imported.

In: the run folder. Out: a finder on sys.meta_path, and a handler of forks; no module beyond this one and `finder` is imported
until the first watched module has been loaded. Called by the bootstrap's sitecustomize.

The set-up is then the import of one module, `session`. Importlib does the rest. Its lock of that module lets other threads wait
that load a watched module meanwhile. Its search for deadlocks releases a thread that would wait for ever: one that holds the lock
of a module that the set-up imports. The next import tries again when a set-up has failed. A thread that cannot wait leaves the
module to the thread at work, and so does a signal handler in the midst of our own work.
"""

import sys
from _thread import RLock, allocate_lock, get_ident

from hookmon.probe.finder import READERS, Finder

TYPE_CHECKING = False
if TYPE_CHECKING:  # as few names as can be: those in here are read at the start of each process, too
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.base import shapes
    from hookmon.probe.base.wanted import Names

_MODULES_FILE = "modules"  # core.plan.MODULES_FILE_NAME, not imported here: start-up
_SESSION = "hookmon.probe.session"
_GUARD = "hookmon.probe.base.guard"
_AT_ONCE, _BY_PATH, _GLOBS = "!", "/", "~"  # core.plan.AT_ONCE and so on
_RUNNERS = frozenset(
    (
        *("IPython.core.compilerop", "IPython.core.interactiveshell", "IPython.utils.py3compat"),
        *("_pydev_bundle._pydev_execfile", "_pydevd_bundle.pydevd_runpy", "cloudpickle.cloudpickle"),
        *("coverage.execfile", "joblib.externals.cloudpickle.cloudpickle", "kernprof"),
        *("line_profiler.autoprofile.autoprofile", "pdb", "profiling.sampling._sync_coordinator"),
        *("profiling.tracing", "pyspark.cloudpickle.cloudpickle", "ray.cloudpickle.cloudpickle", "runpy"),
        *("streamlit.runtime.scriptrunner.script_cache", "viztracer.main"),
    )
)
"""Modules that execute a script as `__main__`, or make its functions anew: those of probe.runners."""

_ATTEMPTS = 5
_TURNS = 1_000  # of a millisecond, for which a fork waits for us

_importlib = sys.modules["_frozen_importlib"]
_module_locks = getattr(_importlib, "_module_locks", {})  # a weak reference by name, in the order of making

_blocking_on = getattr(_importlib, "_blocking_on", {})  # by thread; from 3.12 on it holds a dictionary of weak references
_blocking_on = getattr(_blocking_on, "data", _blocking_on)

_imp = sys.modules["_imp"]
_posix = sys.modules["posix"]
_READ_FLAGS = _posix.O_RDONLY | _posix.O_NOFOLLOW | _posix.O_NONBLOCK | _posix.O_CLOEXEC
_real = (_posix.open, _posix.fstat, _posix.geteuid, _posix.read, _posix.close)
"""The file functions as they are at the start, in a tuple, where no fake file system looks for them; see `private`."""
_clocks = (sys.modules["time"].thread_time_ns,)
"""Our own time is that of this thread alone. The bootstrap has imported the module."""


def start(
    run_folder: str, report: "Callable[[str], None]", attempt: "Callable[[Callable[[], None]], Exception | None]", begun_ns: int
) -> None:
    """Install the finder.

    `begun_ns` is the time of this thread at which the bootstrap began. `report` tells the collector why nothing is recorded in
    this process, should that come to light later; `attempt` returns what a call raises. Raises OSError when the run folder cannot
    be read; the bootstrap notes it.
    """
    arrivals = Arrivals(run_folder, report, attempt)
    tracer = sys.modules["os"].environ.get("HOOKMON_TRACER", "")
    if tracer.isdecimal():
        attempt(lambda: _allow(int(tracer)))
    names = frozenset(arrivals.read(_MODULES_FILE).decode("utf-8", "surrogateescape").split("\n"))
    vars(sys.modules["hookmon.probe"])["arrivals"] = arrivals
    if _GLOBS in names:  # before the set-up, which goes by whether this is there
        from hookmon.probe.base.wanted import sort_out
    if _AT_ONCE in names:
        names = names - {_AT_ONCE}
        arrivals.set_up()
    if "__main__" in names:
        names = names - {"__main__"} | _RUNNERS
        arrivals.watch_main()
    _posix.register_at_fork(
        before=arrivals.work.hold_off, after_in_parent=arrivals.work.let_go, after_in_child=arrivals.after_fork
    )
    wanted: frozenset[str] | Names = names
    if _GLOBS in names:
        wanted = sort_out(names - {_GLOBS, _BY_PATH})
    finder = Finder(wanted, arrivals.patch, arrivals.prepare)
    arrivals.watch_also = finder.watch_also
    finder.install()
    if _BY_PATH in names:
        finder.follow_loaders()
    arrivals.add_own(begun_ns)
    arrivals.tell_own()


def _allow(tracer: int) -> None:
    from hookmon.probe.tracer import allow  # few programs are sampled

    allow(tracer)


class Work:
    """Which threads are setting up or patching. A fork meanwhile would leave the modules that they import locked in the child."""

    def __init__(self) -> None:
        self.by_thread: dict[int, tuple[Any, str, str]] = {}
        """(module, its name, innermost module that the thread was importing when it began) by identity of the thread.

        The module is None where it is about to be executed."""
        self._gate = RLock()  # held by a fork; by all others only for a moment
        self._forking = 0  # the thread that holds both locks for its forks: a handler may fork within a fork's own handlers
        self._held = 0  # for how many
        self._never = allocate_lock()
        self._never.acquire()

    def begin(self, me: int, module: "shapes.ModuleType | None", name: str) -> None:
        """Register a thread, once no fork is under way."""
        within = next((other for other in reversed(list(_module_locks)) if _owner(other) == me), "")
        with self._gate:
            self.by_thread[me] = (module, name, within)

    def end(self, me: int) -> None:
        """Unregister a thread."""
        self.by_thread.pop(me, None)

    def hold_off(self) -> None:
        """Wait until no thread is at work, a second at most, and let none begin: a fork follows.

        A fork out of the midst of our own work does not wait. os.fork takes importlib's lock next. A signal handler that came
        while a module was searched has that lock when it wants the gate, so this takes the lock first, too. While it waits it
        gives both back: the work needs them.
        """
        for _ in range(_TURNS):
            self._take_locks()
            if not self.by_thread or self._forking in self.by_thread:
                return
            self.let_go()
            self._never.acquire(True, 0.001)
        self._take_locks()

    def _take_locks(self) -> None:
        _imp.acquire_lock()
        self._gate.acquire()
        self._forking = get_ident()
        self._held += 1

    def let_go(self) -> None:
        """Let work begin again: the fork is done, or put off. Who embeds Python may say that without a word before the fork."""
        if self._held and self._forking == get_ident():
            self._held -= 1
            self._gate.release()
            _imp.release_lock()

    def forget_others(self) -> "list[tuple[shapes.ModuleType, str]]":
        """Give up, in a forked child, the work of other threads, which are not there. Return the modules that they worked on.

        A module that they were importing for us is half there and locked for ever. It is removed: the next import begins anew.
        The watched module itself is whole, and only locked since we were not done with it.
        """
        self.let_go()
        if not self._held:  # else a handler has forked out of another fork's, which goes on here as well
            self._gate = RLock()
        gone = {thread: work for thread, work in self.by_thread.items() if thread != get_ident()}
        for thread, (module, name, within) in gone.items():
            names = list(_module_locks)
            for other in names[names.index(within) + 1 if within in names else 0 :]:
                if _owner(other) == thread:
                    del _module_locks[other]
                    if _is_initializing(sys.modules.get(other)):
                        del sys.modules[other]
            if within == name and within in names:
                del _module_locks[name]
                if module is None:  # it had not begun
                    sys.modules.pop(name, None)
                elif _is_initializing(module):
                    module.__spec__._initializing = False
            _blocking_on.pop(thread, None)
            del self.by_thread[thread]
        return [(module, name) for module, name, _ in gone.values() if module is not None]


def _owner(name: str) -> object:
    """Return the thread that is importing a module, None where none is."""
    reference = _module_locks.get(name)
    lock = reference and reference()
    return lock.owner if lock is not None else None


def _is_initializing(module: object) -> bool:
    return getattr(getattr(module, "__spec__", None), "_initializing", False) is True


class Arrivals:
    """What becomes of watched modules, from the first one on. The one of this process is `hookmon.probe.arrivals`."""

    BESIDES = frozenset(("greenlet", "numba", "torch", *READERS))
    """Those of core.plan.HEARD_OF for which alone nothing is set up."""

    is_attached = False
    """Whether the program ran before hookmon came to it: see `attaching`."""

    def __init__(
        self, run_folder: str, report: "Callable[[str], None]", attempt: "Callable[[Callable[[], None]], Exception | None]"
    ) -> None:
        self.run_folder = run_folder
        self.work = Work()
        self._report = report
        self.attempt = attempt
        self._late: list[tuple[shapes.ModuleType, str, bool]] = []
        """(module, name, whether the program can have used it) of those that wait."""
        self._failures = 0
        self._is_told = False  # why nothing is counted here
        self._main: Any = None
        self.watch_also: Callable[[str], None] = lambda name: None  # the finder's
        self.guard: Any = None  # the modules of these names, once they are there
        self._session: Any = None
        self._own_ns = 0  # not told to the shard yet

    def read(self, name: str) -> bytes:
        """Return what a file of the run folder holds: code is executed by it. Raises OSError, also for somebody else's file."""
        path = f"{self.run_folder}/{name}"
        open_file, get_status, user, read, close = _real
        descriptor = open_file(path, _READ_FLAGS)
        try:
            status = get_status(descriptor)
            is_file = status.st_mode & 0o170000 == 0o100000  # S_IFMT, S_IFREG
            if not is_file or status.st_uid != user() or status.st_mode & 0o022:
                raise PermissionError(f"{path} is no file of this user's own, or others may write to it")
            content = b""
            while part := read(descriptor, 1 << 20):
                content += part
            return content
        finally:
            close(descriptor)

    def patch(self, module: "shapes.ModuleType", name: str) -> None:
        """Patch a watched module; never raises. Called in the importing thread, mostly under the module's import lock."""
        if get_ident() in self.work.by_thread:  # we import it ourselves, or a signal handler does while we are at it
            is_interrupted = self.guard is None or self.guard.is_interrupted(Arrivals._patch.__code__)
            self._late.append((module, name, is_interrupted))
            return
        self._patch(module, name, False)
        while self._late and self._session is not None:
            try:
                late = self._late.pop(0)
            except IndexError:  # another thread has taken it
                return
            self._patch(*late)

    def prepare(self, code: "shapes.CodeType", name: str) -> "shapes.CodeType":
        """Watch functions of a module that is about to be executed; return the code to execute. Never raises.

        What the set-up itself may import is watched afterwards: half of it is there now.
        """
        me = get_ident()
        if me in self.work.by_thread or name in self.BESIDES:
            return code
        if self._session is None and (name.partition(".")[0] == "wrapt" or name.partition(".")[0] in sys.stdlib_module_names):
            return code
        begun_ns = _clocks[0]()
        is_first = self._session is None
        self.work.begin(me, None, name)
        try:
            if is_first:
                self._set_up()
            if self._session is not None:
                code = self.guard.shielded_import(code)(self._session.prepare)(code, name)
        finally:
            self.work.end(me)
            self.add_own(begun_ns)
            self.tell_own()
        for late in [late for late in self._late if late[1] in self.BESIDES and is_first and self._session is not None]:
            self._late.remove(late)  # the module may be about to use it
            self._patch(*late)
        return code

    def add_own(self, begun_ns: int) -> None:
        """Charge the time of this thread since then to hookmon. It is written into the shard with the next module."""
        self._own_ns += max(0, _clocks[0]() - begun_ns)  # it begins anew in a child that a signal handler has forked meanwhile

    def tell_own(self) -> None:
        """Tell the shard what was charged to hookmon, once there is one."""
        if self._session is not None:
            own_ns, self._own_ns = self._own_ns, 0
            self.guard.shielded_import(None)(self._session.add_own)(own_ns)

    def _patch(self, module: "shapes.ModuleType", name: str, is_late: bool) -> None:
        begun_ns = _clocks[0]()
        me = get_ident()
        is_done = False
        self.work.begin(me, module, name)
        try:
            if self._session is None and name not in self.BESIDES:
                self._set_up()
            if self._session is not None:
                self.guard.shielded_import(None)(_patch)(self._session, module, name, is_late, self._main)
            is_done = self._session is not None or self._failures >= _ATTEMPTS
        finally:
            if not is_done:  # nor where a signal handler of the program raised meanwhile
                self._late.append((module, name, True))
            self.work.end(me)
            self.add_own(begun_ns)
            self.tell_own()

    def _set_up(self) -> None:
        """Get the session, and wait for a thread that sets it up. It stays None where that failed, or would wait for us."""
        if self._failures >= _ATTEMPTS:
            self._late.clear()
            return
        reason = self._get_guard()
        if not reason and self.guard.shielded_import(False)(_import_session)():
            session = sys.modules.get(_SESSION)
            if getattr(session, "is_ready", False):
                self._session = session
                self.take_back()
        else:
            self._failures += 1
            reason = reason or "; ".join(self.guard.failures)
            self._tell(f"the probe failed: {reason}")

    def _get_guard(self) -> str:
        """Get the guard, which tells our failures from the program's exceptions; return why that failed, "" where it did not.

        An import that fails once and not twice has not failed: a signal handler of the program raised.
        """
        failure = self.attempt(_import_guard)
        if failure is not None:
            again = self.attempt(_import_guard)
            if again is not None:
                return f"{type(again).__name__}: {again}"
            if not _is_importlibs(failure):
                raise failure
        if self.guard is None:
            guard: Any = sys.modules[_GUARD]
            guard.after_fork(self.begin_anew)
            self.guard = guard
        return ""

    def _tell(self, reason: str) -> None:
        self._is_told = reason != ""
        self._report(reason)

    def take_back(self) -> None:
        """Take back what was reported of this process: the set-up has got as far as the shard."""
        if self._is_told:
            self._tell("")

    def set_up(self) -> None:
        """Get ready before any watched module is there; raises what the set-up does."""
        self._get_guard()
        self.guard.eagerly(__import__)(_SESSION)
        self._session = sys.modules[_SESSION]

    def watch_main(self) -> None:
        """Get ready for the started script, whose functions are to be watched; raises what the set-up does."""
        self.set_up()
        self._main = self._session.watch_main()

    def after_fork(self) -> None:
        """Begin anew in a forked child, ahead of any handler of the program: Python calls them in the order of registration."""
        if self.guard is None:
            self.begin_anew()
        else:
            self.guard.begin_anew()

    def begin_anew(self) -> None:
        """Take over, in a forked child, the modules that the parent's other threads worked on."""
        self._own_ns = 0
        unfinished = self.work.forget_others()
        self._late += [(module, name, True) for module, name in unfinished]
        if self._session is None and get_ident() in self.work.by_thread:  # true until the handler is back: it may never be
            self._tell("a signal handler forked it while hookmon was getting ready")


def _import_guard() -> None:
    __import__(_GUARD)


def _import_session() -> bool:
    try:
        __import__(_SESSION)
    except _importlib._DeadlockError:  # not even begun by the thread that waits for us; `patch` leaves the module to it
        pass
    except KeyError as error:
        if not _is_importlibs(error):
            raise
        __import__(_SESSION)
    return True


def _is_importlibs(error: "Exception") -> bool:
    """Say whether importlib has lost what this thread waits for. Up to 3.11 it does where a signal handler imports (gh-91351)."""
    return type(error) is KeyError and error.args == (get_ident(),)


def _patch(session: "shapes.ModuleType", module: "shapes.ModuleType", name: str, is_late: bool, main: "Any") -> None:
    if name in _RUNNERS and main is not None:
        main.patch_runner(module, name)
    session.patch(module, name, is_late)
