"""The first watched import: it brings the probe, and is safe from threads, signals and forks that come at that moment."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runs import PYTHON, bare_run, calls, hookmon_run, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

NAMES = [f"lib{number}" for number in range(8)]
CONFIG = '[packs]\ndisable = ["*"]\n' + "".join(watch(name, "work", "later") for name in NAMES)

MEANWHILE = """
    import sys
    from importlib.machinery import PathFinder

    class Meanwhile:
        '''A finder of the program's, whose loader does something when the set-up is half done.'''
        def __init__(self, act):
            self.act = act
        def find_spec(self, name, path=None, target=None):
            if name != "hookmon.probe.patching.patcher" or self.act is None:
                return None
            act, self.act = self.act, None
            spec = PathFinder.find_spec(name, path)
            real = spec.loader.exec_module
            def execute(module):
                act()
                real(module)
            spec.loader.exec_module = execute
            return spec

    def meanwhile(act):
        sys.meta_path.insert(1, Meanwhile(act))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with eight modules, each with a function for the moment and one for later."""
    write(tmp_path, {f"{name}.py": "def work():\n    return 1\n\ndef later():\n    return 2\n" for name in NAMES})
    write(tmp_path, {"between.py": MEANWHILE})
    return tmp_path


def run(folder: Path, program: str, *, same: bool = True):
    """Run a program under hookmon; a bare run prints and ends the same."""
    write(folder, {"app.py": program})
    under = hookmon_run([PYTHON, "app.py"], cwd=folder, config=CONFIG)
    if same:
        assert under.seen == bare_run([PYTHON, "app.py"], cwd=folder).seen
    assert under.exit_code == 0, under.stderr
    return under


def counts(result, function: str = "work") -> dict[str, int]:
    """Return the calls of a function by module, those of modules without calls left out."""
    found = {name: calls(result.report, f"{name}:{function}") for name in NAMES}
    return {name: number for name, number in found.items() if number}


def spots(result, *but: str) -> list[str]:
    """Return the kinds of blind spots, but for these."""
    return [spot["kind"] for spot in result.report["blind_spots"] if spot["kind"] not in but]


def test_threads_that_import_their_first_watched_modules_at_once_are_counted(folder: Path):
    """Eight threads, eight modules, every call."""
    under = run(
        folder,
        """
        import threading
        start = threading.Barrier(8)
        def load(number):
            start.wait()
            module = __import__(f"lib{number}")
            for _ in range(100):
                module.work()
        threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
    )
    assert counts(under) == dict.fromkeys(NAMES, 100)
    assert spots(under) == []


def test_a_server_whose_first_requests_come_together_is_counted(folder: Path):
    """Each request in a thread of its own, which imports what it needs."""
    under = run(
        folder,
        """
        import threading, http.client, http.server
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                __import__("lib" + self.path[1:]).work()
                self.send_response(204)
                self.end_headers()
            def log_message(self, *args): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever).start()
        def get(number):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
            connection.request("GET", f"/{number}")
            connection.getresponse().read()
            connection.close()
        first = [threading.Thread(target=get, args=(number,)) for number in (0, 1)]
        for thread in first: thread.start()
        for thread in first: thread.join()
        for number in range(20): get(number % 2)
        server.shutdown()
        server.server_close()
        """,
    )
    assert counts(under) == {"lib0": 11, "lib1": 11}
    assert spots(under) == []


@pytest.mark.parametrize("delay_s", [0.004, 0.012, 0.03])
def test_a_signal_handler_that_imports_leaves_program_and_probe_whole(folder: Path, delay_s: float):
    """Wherever it comes; what it calls before the set-up is done is not counted, what comes later is."""
    under = run(
        folder,
        f"""
        import signal, time
        count = 0
        def on_alarm(*_):
            global count
            import lib1
            for _ in range(10):
                count += lib1.work()
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, {delay_s})
        import lib0
        for _ in range(200): lib0.work()
        while not count: time.sleep(0.001)
        import lib1, lib2
        print(count, lib0.later(), lib1.later(), lib2.later())
        """,
    )
    assert counts(under, "later") == {"lib0": 1, "lib1": 1, "lib2": 1}
    assert counts(under)["lib0"] == 200
    is_late = "watched late" in spots(under)
    assert counts(under).get("lib1", 0) == (0 if is_late else 10)
    assert spots(under, "watched late") == []


def test_what_a_signal_handler_imports_within_the_set_up_is_watched_when_that_is_done(folder: Path):
    """And the report says that calls before were not counted."""
    under = run(
        folder,
        """
        import signal, sys
        from between import meanwhile
        def on_signal(*_):
            import lib1
            print("in between", lib1.work())
        signal.signal(signal.SIGUSR1, on_signal)
        meanwhile(lambda: signal.raise_signal(signal.SIGUSR1))
        import lib0
        print(lib0.work(), sys.modules["lib1"].later())
        """,
        same=False,
    )
    assert under.stdout == "in between 1\n1 2\n"
    assert (counts(under), counts(under, "later")) == ({"lib0": 1}, {"lib1": 1})
    late = [spot["detail"] for spot in under.report["blind_spots"]]
    assert late == ["lib1 was imported while hookmon was getting ready; calls until then are not counted"]


def test_an_exception_of_a_signal_handler_within_the_set_up_reaches_the_program(folder: Path):
    """As an alarm does that ends whatever takes too long; the import that follows sets the probe up."""
    under = run(
        folder,
        """
        import signal
        from between import meanwhile
        def on_signal(signum, frame):
            raise TimeoutError("too slow")
        signal.signal(signal.SIGUSR1, on_signal)
        meanwhile(lambda: signal.raise_signal(signal.SIGUSR1))
        try:
            import lib0
        except TimeoutError as error:
            print(error)
        import lib0, lib1
        print(lib0.work(), lib1.work())
        """,
        same=False,
    )
    assert under.stdout == "too slow\n1 1\n"
    assert counts(under) == {"lib0": 1, "lib1": 1}


@pytest.mark.parametrize("delay_s", [0.002, 0.006, 0.011, 0.018])
def test_a_time_limit_that_runs_out_at_the_first_watched_import_is_the_programs(folder: Path, delay_s: float):
    """At whatever moment it comes, and also where it is importlib that is at work for us."""
    under = run(
        folder,
        f"""
        import signal, time
        class OutOfTime(Exception):
            pass
        def on_signal(signum, frame):
            del frame
            raise OutOfTime
        signal.signal(signal.SIGALRM, on_signal)
        try:
            signal.setitimer(signal.ITIMER_REAL, {delay_s})
            import lib0
            time.sleep(5)
        except OutOfTime:
            print("out of time")
        """,
    )
    assert under.stdout == "out of time\n"


def test_what_importlib_loses_in_a_signal_handler_costs_no_call(folder: Path):
    """On 3.11 an import raises KeyError where a handler imports while it waits for a lock: the set-up begins again at once."""
    under = run(
        folder,
        """
        import threading
        from between import meanwhile
        def lose():
            raise KeyError(threading.get_ident())
        meanwhile(lose)
        import lib0
        print(lib0.work())
        """,
        same=False,
    )
    assert under.stdout == "1\n"
    assert counts(under) == {"lib0": 1}
    assert spots(under) == []


def test_a_set_up_that_failed_is_tried_again(folder: Path):
    """What is in the way may be there for a moment only, as a test's fake file system is."""
    under = run(
        folder,
        """
        from between import meanwhile
        def fail():
            raise LookupError("not now")
        meanwhile(fail)
        import lib0
        print(lib0.work())
        import lib1
        print(lib0.later(), lib1.work(), lib1.later())
        """,
        same=False,
    )
    assert under.stdout == "1\n2 1 2\n"
    assert (counts(under), counts(under, "later")) == ({"lib0": 1, "lib1": 1}, {"lib0": 1, "lib1": 1})
    assert spots(under) == ["own failure"]  # the second try comes when the module has been executed


def test_a_set_up_that_fails_again_and_again_is_given_up(folder: Path):
    """The program goes on, and the report says why nothing was counted."""
    under = run(
        folder,
        """
        import sys
        class Never:
            attempts = 0
            def find_spec(self, name, path=None, target=None):
                if name == "hookmon.probe.patching.patcher":
                    self.attempts += 1
                    raise LookupError("not ever")
        never = Never()
        sys.meta_path.insert(1, never)
        for number in range(8):
            print(__import__(f"lib{number}").work())
        print(never.attempts)
        """,
        same=False,
    )
    assert under.stdout == "1\n" * 8 + "5\n"
    assert counts(under) == {}
    assert spots(under) == ["not watched"]
    assert "LookupError: not ever" in under.report["blind_spots"][0]["detail"]
    details = {row["detail"] for row in under.report["watched"] if row["target"].startswith("lib")}
    assert details == {"some processes were not watched, see the blind spots"}


def test_a_thread_whose_waiting_would_have_no_end_goes_on(folder: Path):
    """It holds the import lock of a module that the set-up comes to need."""
    write(folder, {"holder.py": "import shared\nshared.held.set()\nimport lib1\nvalue = lib1.work()\n"})
    write(folder, {"shared.py": "import threading\nheld = threading.Event()\n"})
    under = run(
        folder,
        """
        import threading, shared
        from between import meanwhile
        def act():
            thread.start()
            shared.held.wait()
            import holder
        thread = threading.Thread(target=lambda: __import__("holder"))
        meanwhile(act)
        import lib0
        thread.join()
        import holder, lib1
        print(lib0.later(), lib1.later(), holder.value)
        """,
        same=False,
    )
    assert under.stdout == "2 2 1\n"
    assert counts(under, "later") == {"lib0": 1, "lib1": 1}


def test_forks_beside_a_first_watched_import_end_and_are_counted(folder: Path):
    """No child inherits the lock of a module that a thread of its parent's was importing for us."""
    under = run(
        folder,
        """
        import os, threading, time
        def load():
            import lib0
            for _ in range(50): lib0.work()
        thread = threading.Thread(target=load)
        thread.start()
        children = []
        for _ in range(12):
            child = os.fork()
            if not child:
                import lib1
                lib1.work()
                os._exit(0)
            children.append(child)
            time.sleep(0.001)
        print([os.waitpid(child, 0)[1] for child in children])
        thread.join()
        """,
        same=False,  # which hangs on CPython 3.11 when a fork comes within an import of the program's own
    )
    assert under.stdout == f"{[0] * 12}\n"
    assert counts(under) == {"lib0": 50, "lib1": 12}


def test_a_fork_for_which_the_set_up_takes_too_long_goes_on(folder: Path):
    """The child begins anew, and watches the module that its parent's thread was at."""
    under = run(
        folder,
        """
        import os, threading
        from between import meanwhile
        stuck, go_on = threading.Event(), threading.Event()
        def act():
            stuck.set()
            go_on.wait()
        meanwhile(act)
        thread = threading.Thread(target=lambda: __import__("lib0").work())
        thread.start()
        stuck.wait()
        child = os.fork()
        if not child:
            import lib1
            lib1.work()
            import lib0
            lib0.work()
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        go_on.set()
        thread.join()
        import lib2
        lib2.work()
        """,
        same=False,
    )
    assert under.stdout == "0\n"
    assert counts(under) == {"lib0": 2, "lib1": 1, "lib2": 1}
    assert spots(under) == []  # the module had not begun


def test_a_fork_out_of_a_signal_handler_within_the_set_up_goes_on_in_both(folder: Path):
    """The child comes back from the handler into our own work, and ends it for itself."""
    under = run(
        folder,
        """
        import os, signal
        from between import meanwhile
        child = None
        def on_signal(*_):
            global child
            child = os.fork()
        signal.signal(signal.SIGUSR1, on_signal)
        meanwhile(lambda: signal.raise_signal(signal.SIGUSR1))
        import lib0, lib1
        lib0.work()
        lib1.work()
        if child:
            print(os.waitpid(child, 0)[1])
        """,
        same=False,
    )
    assert under.stdout == "0\n"
    assert counts(under) == {"lib0": 2, "lib1": 2}
    assert spots(under) == []


def test_a_child_that_stays_in_the_signal_handler_within_the_set_up_is_told(folder: Path):
    """It can count nothing, as what it imports waits for our work, in which it is; the parent counts."""
    under = run(
        folder,
        """
        import os, signal
        from between import meanwhile
        def on_signal(*_):
            child = os.fork()
            if not child:
                import lib1
                lib1.work()
                os._exit(0)
            print(os.waitpid(child, 0)[1])
        signal.signal(signal.SIGUSR1, on_signal)
        meanwhile(lambda: signal.raise_signal(signal.SIGUSR1))
        import lib0
        lib0.work()
        """,
        same=False,
    )
    assert under.stdout == "0\n"
    assert counts(under) == {"lib0": 1}
    told = [spot["detail"] for spot in under.report["blind_spots"] if spot["kind"] == "not watched"]
    assert len(told) == 1
    assert "a signal handler forked it while hookmon was getting ready" in told[0]


def test_what_an_older_handler_of_forks_calls_is_counted_for_the_child(folder: Path):
    """Its registration came before the first watched module; the counters of the parent are not touched."""
    write(
        folder,
        {
            "lib9.py": """
                import os, time
                def again():
                    time.sleep(0.05)  # until the parent has made its first call
                    reset()
                os.register_at_fork(after_in_child=again)
                def reset(): pass
                def price(): pass
            """
        },
    )
    write(
        folder,
        {
            "app.py": """
                import os, lib9
                child = os.fork()
                if not child:
                    os._exit(0)
                for _ in range(10): lib9.price()
                os.waitpid(child, 0)
                for _ in range(10): lib9.price()
            """
        },
    )
    under = hookmon_run([PYTHON, "app.py"], cwd=folder, config=CONFIG + watch("lib9", "reset", "price"))
    assert {name: calls(under.report, f"lib9:{name}") for name in ("price", "reset")} == {"price": 20, "reset": 1}
    assert spots(under) == []
