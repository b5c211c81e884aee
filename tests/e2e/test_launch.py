"""Launch and bootstrap: a program under hookmon looks, to its user and to itself, like the program without."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from support import interpreters
from support.runs import (
    HOOKMON,
    PYTHON,
    Started,
    bare_run,
    blind_spots,
    calls,
    hookmon,
    hookmon_run,
    hookmon_start,
    wait_until,
    watch,
    write,
)
from support.terminal import Terminal

SHOP = """
    def quote(number):
        return number * number
"""
WATCH_SHOP = watch("shop", "quote")
SEVEN_QUOTES = "import shop\nprint(sum(shop.quote(number) for number in range(7)))\n"


# output, exit codes, signals

PROGRAMS = {
    "quiet": "",
    "exit 3": "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)",
    "exit 255": "raise SystemExit(255)",
    "exit with a text": "raise SystemExit('no more tea')",
    "exit beyond a byte": "raise SystemExit(300)",
    "uncaught exception": "import shop\ndef f():\n    raise ValueError('no') from KeyError(1)\nf()",
    "exception in a watched call": "import shop\ntry:\n    shop.quote()\nexcept TypeError as error:\n    print(error)",
    "syntax error": "def f(:",
    "missing module": "import shop.nothing",
    "killed by SIGKILL": "import os; print('out', flush=True); os.kill(os.getpid(), 9)",
    "killed by SIGTERM": "import os; print('lost'); os.kill(os.getpid(), 15)",
    "killed by SIGSEGV": "import os; os.kill(os.getpid(), 11)",
    "interrupted": "raise KeyboardInterrupt",
    "os._exit": "import os; print('lost'); os.write(1, b'kept\\n'); os._exit(9)",
    "bytes": "import sys; sys.stdout.buffer.write(bytes(range(256)) * 10); sys.stderr.buffer.write(b'\\xff\\x00\\r\\n')",
    "megabytes": "import sys; sys.stdout.write('line\\n' * 400_000)",
    "standard input": "import sys; sys.stdout.write(sys.stdin.read().upper())",
    "atexit, threads": (
        "import atexit, threading, time, shop\n"
        "atexit.register(print, 'bye')\n"
        "said = threading.Event()\n"
        "threading.Thread(target=lambda: (said.wait(), time.sleep(0.05), print('thread', shop.quote(2)))).start()\n"
        "print('main')\n"
        "said.set()"
    ),
    "unraisable, warnings": (
        "import warnings, shop\n"
        "class Bad:\n"
        "    def __del__(self): raise RuntimeError('in del')\n"
        "Bad()\n"
        "warnings.warn('old', DeprecationWarning)\n"
        "open('app.py')"
    ),
    "state of the process": (
        "import gc, os, resource, signal, sys, threading, shop\n"
        "shop.quote(1)\n"
        "print([signal.getsignal(number) for number in signal.valid_signals() if number not in (9, 19)])\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, []), gc.get_threshold(), gc.isenabled(), sys.getswitchinterval())\n"
        "print(threading.active_count(), sys.getrecursionlimit(), sys.gettrace(), sys.getprofile(), sys.excepthook)\n"
        "print(os.umask(0), os.getcwd(), resource.getrlimit(resource.RLIMIT_NOFILE), os.nice(0))\n"
        "print(sys.argv, sys.flags, sys.warnoptions, sys.executable, sys.orig_argv, sys.stdout.encoding, __file__)\n"
        "print(sys.stdin.isatty(), os.get_blocking(0), os.get_blocking(1))\n"
        "print([name for name in sys.path_hooks if 'hookmon' in repr(name)], sys.pycache_prefix, sys.dont_write_bytecode)\n"
    ),
    "open files": "import os, shop\nshop.quote(1)\nprint([fd for fd in range(3) if os.fstat(fd)], os.get_inheritable(0))",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_output_and_exit_code_are_those_of_a_bare_run(program: str, tmp_path: Path) -> None:
    """Standard output, standard error and exit code are the same, byte by byte, with and without hookmon."""
    write(tmp_path, {"shop.py": SHOP, "app.py": program})
    arguments = [PYTHON, "-X", "dev", "app.py", "--", "-x", ""]
    bare = bare_run(arguments, cwd=tmp_path, stdin=b"some\ninput\n")
    under = hookmon_run(arguments, cwd=tmp_path, config=WATCH_SHOP, stdin=b"some\ninput\n")
    assert under.seen == bare.seen
    assert under.report["run"]["exit_code"] == bare.exit_code
    assert under.report["run"]["command"] == arguments


HANDLES_SIGNALS = """
    import os, signal, sys, time

    def handle(number, frame):
        os.write(1, b"%d\\n" % number)
        global last
        last = time.monotonic()

    last = None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)
    with open("ready", "w") as file:
        file.write("yes")
    while last is None or time.monotonic() < last + 0.4:
        time.sleep(0.05)
    sys.exit(7)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_reaches_the_program_once(number: signal.Signals, tmp_path: Path) -> None:
    """A signal that is sent to hookmon arrives at the program, one time, and the program decides what follows."""
    write(tmp_path, {"app.py": HANDLES_SIGNALS})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path)
    wait_until((tmp_path / "ready").exists, "the program's handlers")
    running.process.send_signal(number)
    result = running.finish()
    assert (result.stdout, result.exit_code) == (f"{int(number)}\n", 7)
    assert result.report["run"]["exit_code"] == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_a_program_that_does_not_handle_it(number: signal.Signals, tmp_path: Path) -> None:
    """The program dies of the signal, hookmon does so after it, and still reports."""
    program = "import time, shop\nshop.quote(1)\nopen('ready', 'w').close()\ntime.sleep(30)"
    write(tmp_path, {"shop.py": SHOP, "app.py": program})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    wait_until((tmp_path / "ready").exists, "the program")
    running.process.send_signal(number)
    result = running.finish()
    assert result.exit_code == -number
    assert calls(result.report, "shop:quote") == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # its child executes at once
def test_control_c_reaches_the_program_once(tmp_path: Path) -> None:
    """Control-C on the terminal, which sends SIGINT to hookmon and to the program, is not passed on a second time."""
    write(tmp_path, {"app.py": HANDLES_SIGNALS})
    terminal = Terminal([HOOKMON, "run", "--quiet", PYTHON, "app.py"], cwd=tmp_path)
    wait_until((tmp_path / "ready").exists, "the program's handlers")
    terminal.type(b"\x03")
    shown, exit_code = terminal.finish()
    assert exit_code == 7
    assert shown.replace("^C", "").split() == ["2"]


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [(["no-such-program-here"], 127), (["./no/such/file"], 127), (["./plain.txt"], 126), (["./folder"], 126)],
    ids=["not on PATH", "no such file", "not executable", "a folder"],
)
def test_a_command_that_cannot_start_gets_one_clear_line(command: list[str], exit_code: int, tmp_path: Path) -> None:
    """The answer is one line on standard error that names the command, and the exit code of the shells."""
    write(tmp_path, {"plain.txt": "not a program", "folder/file": ""})
    result = hookmon_run(command, cwd=tmp_path)
    assert (result.stdout, result.exit_code) == ("", exit_code)
    assert len(result.stderr.splitlines()) == 1
    assert Path(command[0]).name in result.stderr


def test_no_command_is_a_usage_error(tmp_path: Path) -> None:
    """`hookmon run` alone says how it is used and ends with 2."""
    result = Started([HOOKMON, "run"], cwd=tmp_path).finish()
    assert (result.stdout, result.exit_code) == ("", 2)
    assert "usage" in result.stderr.lower()


@pytest.mark.parametrize(
    ("env", "terminal", "coloured"),
    [
        ({}, False, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
    ids=["piped", "piped, FORCE_COLOR", "terminal", "terminal, NO_COLOR", "dumb terminal"],
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # its child executes at once
def test_colours_are_for_terminals(env: dict[str, str | None], terminal: bool, coloured: bool, tmp_path: Path) -> None:
    """The report goes to standard error; it has colours on a terminal or when forced, never when refused."""
    write(tmp_path, {"shop.py": SHOP, "app.py": SEVEN_QUOTES, "hookmon.toml": WATCH_SHOP})
    command = [HOOKMON, "run", PYTHON, "app.py"]
    if terminal:
        shown, _ = Terminal(command, cwd=tmp_path, env=env).finish()
    else:
        result = Started(command, cwd=tmp_path, env=env).finish()
        assert result.stdout == "91\n"
        shown = result.stderr
    assert "quote" in shown
    assert ("\x1b[" in shown) == coloured


# sitecustomize and usercustomize

CUSTOM = "import sys\nprint('custom', __name__, __file__ is not None, sys.argv[1:])\nMARK = 'own'\n"
ASK_CUSTOM = """
    import sys
    for name in ("sitecustomize", "usercustomize"):
        try:
            module = __import__(name)
        except ImportError as error:
            print(name, error)
        else:
            print(name, module.__file__, module.__spec__.origin, getattr(module, "MARK", None))
    import shop
    print(shop.quote(3), [name for name in dir(shop) if not name.startswith("__")])
"""


CUSTOMS = {  # text, how often shop.quote is then called in the whole run
    "none": (None, 1),
    "prints": (CUSTOM, 1),
    "imports a watched module": ("import shop\nprint('at start', shop.quote(2))\n", 2),
    "raises": ("print('before')\nraise RuntimeError('broken')\n", 0),
    "misses a module": ("import nothing_of_that_name\n", 1),
    "ImportError": ("raise ImportError('tired', name='sitecustomize')\n", 1),
    "exits": ("raise SystemExit(4)\n", 0),
    "changes sys.path": ("import sys\nsys.path.insert(0, 'somewhere')\nsys.modules[__name__].MARK = 'set late'\n", 1),
}


@pytest.mark.parametrize(("custom", "quotes"), CUSTOMS.values(), ids=CUSTOMS)
@pytest.mark.parametrize("name", ["sitecustomize", "usercustomize"])
def test_own_customize_runs_as_without_us(name: str, custom: str | None, quotes: int, tmp_path: Path) -> None:
    """The user's own sitecustomize or usercustomize on PYTHONPATH runs once, and fails as it does without us."""
    write(tmp_path, {"shop.py": SHOP, "app.py": ASK_CUSTOM})
    if custom is not None:
        write(tmp_path, {f"own/{name}.py": custom})
    command = [interpreters.base_python(), "app.py", "argument"]
    env: dict[str, str | None] = {"PYTHONPATH": f"{tmp_path}/own:{tmp_path}"}
    bare = bare_run(command, cwd=tmp_path, env=env)
    under = hookmon_run(command, cwd=tmp_path, env=env, config=WATCH_SHOP, isolated=True)
    if custom and "SystemExit" in custom:  # the interpreter's own last words list all frames, ours among them
        bare.stderr, under.stderr = (result.stderr.splitlines()[-1] for result in (bare, under))
    assert under.seen == bare.seen
    assert calls(under.report, "shop:quote") == quotes


def test_customize_of_a_virtual_environment_runs(tmp_path: Path) -> None:
    """A sitecustomize that lies in site-packages is found and run as without us."""
    python = interpreters.new_virtualenv(tmp_path / "venv")
    write(interpreters.site_packages(python), {"sitecustomize.py": CUSTOM})
    write(tmp_path, {"shop.py": SHOP, "app.py": ASK_CUSTOM})
    bare = bare_run([str(python), "app.py"], cwd=tmp_path)
    under = hookmon_run([str(python), "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    assert "custom sitecustomize True" in bare.stdout
    assert under.seen == bare.seen
    assert calls(under.report, "shop:quote") == 1


# PYTHONPATH

ASK_PATH = "import json, os, sys\nprint(json.dumps([os.environ.get('PYTHONPATH'), sys.path]))"


@pytest.mark.parametrize("value", [None, "", "a", "a:b", ":a", "a::b", "a:", "./a:/nowhere", "a:a"])
def test_pythonpath_is_prepended_once(value: str | None, tmp_path: Path) -> None:
    """One entry comes first on PYTHONPATH, the user's follow as they were; sys.path starts with the program's own entries."""
    write(tmp_path, {"here/app.py": ASK_PATH, "a/x.py": "", "b/x.py": ""})
    command = [PYTHON, "here/app.py"]
    _, bare_path = json.loads(bare_run(command, cwd=tmp_path, env={"PYTHONPATH": value}).stdout)
    variable, path = json.loads(hookmon_run(command, cwd=tmp_path, env={"PYTHONPATH": value}).stdout)
    first, *others = variable.split(":")
    assert os.path.isabs(first)
    assert first != str(tmp_path)
    assert others == (value.split(":") if value else [])
    assert path[0] == bare_path[0]
    assert [entry for entry in path if entry != first] == bare_path


def test_nested_runs_keep_the_users_entries(tmp_path: Path) -> None:
    """A hookmon within a hookmon adds nothing twice and loses nothing."""
    write(tmp_path, {"app.py": ASK_PATH})
    command = [HOOKMON, "run", "--quiet", "--", PYTHON, "app.py"]
    result = hookmon_run(command, cwd=tmp_path, env={"PYTHONPATH": "a:b"})
    variable, _ = json.loads(result.stdout)
    assert variable.split(":")[1:] == ["a", "b"]


# ways to start Python

STARTS: dict[str, tuple[list[str], bytes]] = {
    "script": (["app.py"], b""),
    "-m package": (["-m", "tool"], b""),
    "-m module": (["-m", "tool.__main__"], b""),
    "-c": (["-c", SEVEN_QUOTES], b""),
    "standard input": (["-"], SEVEN_QUOTES.encode()),
    "no argument": ([], SEVEN_QUOTES.encode()),
    "folder": (["tool"], b""),
    "zipapp": (["tool.pyz"], b""),
    "-P": (["-P", "app.py"], b""),
    "-O": (["-O", "app.py"], b""),
    "-OO": (["-OO", "app.py"], b""),
    "-X utf8": (["-X", "utf8", "app.py"], b""),
    "-X dev": (["-X", "dev", "app.py"], b""),
    "-X frozen_modules=off": (["-X", "frozen_modules=off", "app.py"], b""),
    "-W error": (["-W", "error", "app.py"], b""),
    "-u -B -q -s": (["-u", "-B", "-q", "-s", "app.py"], b""),
    "-bb": (["-bb", "app.py"], b""),
}


@pytest.fixture(scope="module")
def startable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one program in all shapes, and the watched module in lib/."""
    folder = tmp_path_factory.mktemp("starts")
    main = SEVEN_QUOTES + "import sys; print(sys.flags, __name__, __package__, sys.argv)\n"
    write(folder, {"lib/shop.py": SHOP, "app.py": main, "tool/__init__.py": "", "tool/__main__.py": main})
    with zipfile.ZipFile(folder / "tool.pyz", "w") as archive:
        archive.writestr("__main__.py", main)
    script = folder / "script"
    script.write_text(f"#!{PYTHON}\n{main}")
    script.chmod(0o755)
    return folder


@pytest.mark.parametrize(("arguments", "stdin"), STARTS.values(), ids=STARTS)
def test_every_way_to_start_python_is_watched(arguments: list[str], stdin: bytes, startable: Path) -> None:
    """Whatever way Python is started, the program is watched and prints the same."""
    env: dict[str, str | None] = {"PYTHONPATH": str(startable / "lib")}
    command = [PYTHON, *arguments]
    bare = bare_run(command, cwd=startable, env=env, stdin=stdin)
    under = hookmon_run(command, cwd=startable, env=env, stdin=stdin, config=WATCH_SHOP)
    assert bare.stdout.startswith("91\n")
    assert under.seen == bare.seen
    assert calls(under.report, "shop:quote") == 7


@pytest.mark.parametrize("command", [["./script"], ["sh", "-c", "./script; true"], ["env", "A=1", "./script"]], ids=" ".join)
def test_programs_that_start_python_are_watched(command: list[str], startable: Path) -> None:
    """Python is watched when a script's first line, a shell or another program starts it."""
    result = hookmon_run(command, cwd=startable, env={"PYTHONPATH": str(startable / "lib")}, config=WATCH_SHOP)
    assert result.stdout.startswith("91\n")
    assert calls(result.report, "shop:quote") == 7


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14", "3.15"])
def test_every_supported_python_is_watched(version: str, startable: Path) -> None:
    """An interpreter of another version, without hookmon installed, is watched with nothing but PYTHONPATH."""
    python = interpreters.need(version)
    result = hookmon_run([python, "app.py"], cwd=startable, env={"PYTHONPATH": str(startable / "lib")}, config=WATCH_SHOP)
    assert result.stdout.startswith("91\n")
    assert calls(result.report, "shop:quote") == 7, blind_spots(result.report)
    assert result.report["run"]["python"].startswith(version)


def test_pytest_is_watched_with_its_assertion_rewriting(tmp_path: Path) -> None:
    """A test session shows its rewritten assertions and its watched calls."""
    test = """
    import shop

    def test_right():
        assert shop.quote(2) == 4

    def test_wrong():
        left = shop.quote(3)
        assert left == 10
    """
    write(tmp_path, {"shop.py": SHOP, "test_shop.py": test, "pytest.ini": "[pytest]\n"})
    scripts = os.path.dirname(HOOKMON)
    result = hookmon_run([f"{scripts}/pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path, config=WATCH_SHOP)
    assert result.exit_code == 1
    assert "assert 9 == 10" in result.stdout
    assert "1 failed, 1 passed" in result.stdout
    assert calls(result.report, "shop:quote") == 2


# what cannot be watched

SLEEPY = "import time; print('ran', flush=True); time.sleep(1.2)"  # long enough to be seen from outside

UNWATCHED = {
    "-I": ([PYTHON, "-I", "-c", SLEEPY], "-I"),
    "-E": ([PYTHON, "-E", "-c", SLEEPY], "-E"),
    "-S": ([PYTHON, "-S", "-c", SLEEPY], "-S"),
    "-sE in the first line": (["./isolated"], "-sE"),
    "child with an empty environment": (
        [PYTHON, "-c", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {SLEEPY!r}], env={{}}, check=True)"],
        "environment",
    ),
    "child of env -i": (["env", "-i", PYTHON, "-c", SLEEPY], "environment"),
    "not Python": (["sh", "-c", "sleep 1.2; echo ran"], "sh is not a Python program"),
}


@pytest.mark.parametrize(("command", "reason"), UNWATCHED.values(), ids=UNWATCHED)
def test_what_cannot_be_watched_runs_and_is_named(command: list[str], reason: str, tmp_path: Path) -> None:
    """A program out of reach runs untouched, and the report says in one line why it was not watched."""
    isolated = tmp_path / "isolated"
    isolated.write_text(f"#!{PYTHON} -sE\n{SLEEPY}\n")
    isolated.chmod(0o755)
    result = hookmon_run(command, cwd=tmp_path)
    assert (result.stdout, result.stderr, result.exit_code) == ("ran\n", "", 0)
    named = [line for line in blind_spots(result.report) if reason.lower() in line.lower()]
    assert len(named) == 1, blind_spots(result.report)
    assert "\n" not in named[0]


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.9", "3.10"])
def test_an_older_python_runs_untouched(version: str, tmp_path: Path) -> None:
    """An interpreter older than what is supported runs as without us, its own sitecustomize included, and is named."""
    python = interpreters.need(version)
    write(tmp_path, {"own/sitecustomize.py": "print('own')\n", "app.py": "import sys\nsys.stdout.write('ran\\n')\nsys.exit(3)\n"})
    env: dict[str, str | None] = {"PYTHONPATH": str(tmp_path / "own")}
    bare = bare_run([python, "app.py"], cwd=tmp_path, env=env)
    under = hookmon_run([python, "app.py"], cwd=tmp_path, env=env, isolated=True)
    assert bare.stdout == "own\nran\n"
    assert under.seen == bare.seen
    assert len([line for line in blind_spots(under.report) if version in line]) == 1, blind_spots(under.report)


# other environments

ASK_PACKAGES = """
    import importlib.util, sys
    import shop

    print(shop.quote(2))
    for name in ("psutil", "click", "rich", "pygments", "wrapt"):
        try:
            module = __import__(name)
        except ImportError as error:
            print(error)
        else:
            print(name, module.__file__)
    print(importlib.util.find_spec("shop").origin)
"""


def test_no_package_of_ours_becomes_importable(tmp_path: Path) -> None:
    """A virtual environment without hookmon is watched, and cannot import what hookmon's environment has."""
    python = interpreters.new_virtualenv(tmp_path / "venv")
    write(tmp_path, {"shop.py": SHOP, "app.py": ASK_PACKAGES})
    bare = bare_run([str(python), "app.py"], cwd=tmp_path)
    under = hookmon_run([str(python), "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    assert under.seen == bare.seen
    assert "No module named 'wrapt'" in under.stdout
    assert calls(under.report, "shop:quote") == 1


@pytest.mark.parametrize("first", ["before", "after"])
def test_the_programs_own_wrapt_stays_its_own(first: str, tmp_path: Path) -> None:
    """A program that has wrapt imports that one, before or after a watched module was loaded."""
    import wrapt

    package = Path(str(wrapt.__file__)).parent
    shutil.copytree(package, tmp_path / "own" / "wrapt", ignore=shutil.ignore_patterns("__pycache__"))
    write(tmp_path, {"shop.py": SHOP})
    lines = ["import wrapt", "import shop"] if first == "before" else ["import shop", "shop.quote(1)", "import wrapt"]
    lines += ["print(wrapt.__file__, wrapt.__spec__.origin, wrapt.decorator)", "shop.quote(2)"]
    (tmp_path / "app.py").write_text("\n".join(lines).replace(", wrapt.decorator", ""))
    python = interpreters.base_python()
    result = hookmon_run([python, "app.py"], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "own")}, config=WATCH_SHOP)
    origin = tmp_path / "own" / "wrapt" / "__init__.py"
    assert (result.stdout, result.stderr) == (f"{origin} {origin}\n", "")
    assert calls(result.report, "shop:quote") == (1 if first == "before" else 2)


@pytest.mark.parametrize("module", ["__init__", "wrappers", "_wrappers"])
def test_a_broken_wrapt_of_the_programs_own_is_no_harm(module: str, tmp_path: Path) -> None:
    """A wrapt that fails when it is imported leaves the program alone: its calls are counted, or the report says why not."""
    write(tmp_path, {f"own/wrapt/{module}.py": "1 / 0\n", "shop.py": SHOP, "app.py": SEVEN_QUOTES})
    if module != "__init__":
        write(tmp_path, {"own/wrapt/__init__.py": ""})
    env: dict[str, str | None] = {"PYTHONPATH": str(tmp_path / "own")}
    result = hookmon_run([interpreters.base_python(), "app.py"], cwd=tmp_path, env=env, config=WATCH_SHOP)
    assert (result.stdout, result.stderr, result.exit_code) == ("91\n", "", 0)
    assert calls(result.report, "shop:quote") == 7 or "ZeroDivisionError" in blind_spots(result.report)[0]


# switched off, and broken

DESCRIBE = """
    import os, sys, shop

    print(shop.quote(2), type(shop.quote).__name__, os.environ.get("PYTHONPATH"))
    print([finder for finder in sys.meta_path if "hookmon" in repr(finder)], [name for name in sys.modules if "hookmon" in name])
"""


def test_disable_turns_everything_off(tmp_path: Path) -> None:
    """With HOOKMON_DISABLE=1 the program starts as if hookmon were not there."""
    write(tmp_path, {"shop.py": SHOP, "app.py": DESCRIBE.replace(', os.environ.get("PYTHONPATH")', "")})
    env: dict[str, str | None] = {"HOOKMON_DISABLE": "1"}
    bare = bare_run([interpreters.base_python(), "app.py"], cwd=tmp_path, env=env)
    under = hookmon_run([interpreters.base_python(), "app.py"], cwd=tmp_path, env=env, config=WATCH_SHOP)
    assert (under.stdout, under.exit_code) == (bare.stdout, bare.exit_code)
    assert under.saved is None or calls(under.saved, "shop:quote") == 0


def test_disable_of_one_child_leaves_the_others(tmp_path: Path) -> None:
    """A child that is started with HOOKMON_DISABLE=1 is not watched, its parent and siblings are."""
    program = """
    import os, subprocess, sys, shop

    shop.quote(1)
    for value in ("1", ""):
        subprocess.run([sys.executable, "child.py"], env=os.environ | {"HOOKMON_DISABLE": value}, check=True)
    """
    write(tmp_path, {"shop.py": SHOP, "app.py": program, "child.py": SEVEN_QUOTES})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    assert result.stdout == "91\n91\n"
    assert calls(result.report, "shop:quote") == 1 + 7


BREAKS_ITS_RUN = """
    import os, pathlib, shutil, subprocess, sys
    import shop

    shop.quote(1)
    run_folder, = {{str(path) for value in os.environ.values() for path in [pathlib.Path(value)]
                    if path.is_absolute() and (path / "plan").is_file() and (path / "modules").is_file()}}
    run_folder = pathlib.Path(run_folder)
    {damage}
    subprocess.run([sys.executable, "child.py"], check=True)
    shop.quote(2)
    print("done")
"""


@pytest.mark.parametrize(
    "damage",
    [
        "(run_folder / 'plan').write_bytes(b'')",
        "(run_folder / 'plan').write_bytes((run_folder / 'plan').read_bytes()[:40])",
        "(run_folder / 'plan').write_bytes(os.urandom(4096))",
        "(run_folder / 'plan').unlink()",
        "(run_folder / 'modules').write_bytes(os.urandom(4096))",
        "(run_folder / 'modules').unlink()",
        "(run_folder / 'plan').unlink(), (run_folder / 'plan').mkdir()",
        "shutil.rmtree(run_folder)",
        "shutil.rmtree(run_folder), run_folder.write_text('a file')",
    ],
    ids=["plan empty", "plan cut", "plan noise", "no plan", "modules noise", "no modules", "plan a folder", "gone", "a file"],
)
def test_a_broken_run_folder_never_stops_a_program(damage: str, tmp_path: Path) -> None:
    """With the plan or the whole run folder destroyed, programs run, print nothing of ours, and hookmon still ends well."""
    write(tmp_path, {"shop.py": SHOP, "app.py": BREAKS_ITS_RUN.format(damage=damage), "child.py": SEVEN_QUOTES})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    assert (result.stdout, result.stderr, result.exit_code) == ("91\ndone\n", "", 0)
    assert result.report["run"]["exit_code"] == 0


def test_a_wrong_configuration_starts_nothing(tmp_path: Path) -> None:
    """Every mistake is named at once with its line, the exit code is 2, and the program never starts."""
    write(tmp_path, {"app.py": "open('started', 'w')"})
    config = '[[watch]]\nmodule = "shop"\ncals = ["quote"]\n\n[[watch]]\nmodule = 3\ncalls = []\n'
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config)
    assert (result.stdout, result.exit_code) == ("", 2)
    for text in ("hookmon.toml", "cals", "calls", "module", "3"):
        assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "started").exists()


def test_launcher_as_init_reaps_orphans(tmp_path: Path) -> None:
    """As PID 1 of a container hookmon reaps what the program leaves behind, and ends when the program does."""
    unshare = shutil.which("unshare")
    probe = subprocess.run([unshare or "false", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no permission here to make a PID namespace (unshare --pid)")
    program = """
    import os, subprocess, sys, time

    subprocess.Popen([sys.executable, "-c", "import subprocess, sys; subprocess.Popen(['sleep', '0.2'])"]).wait()
    time.sleep(1)
    zombies = [name for name in os.listdir("/proc") if name.isdigit() and ") Z " in open(f"/proc/{name}/stat").read()]
    print(zombies, os.getppid())
    """
    write(tmp_path, {"app.py": program})
    command = [HOOKMON, "run", "--quiet", "--", sys.executable, "-W", "ignore", "app.py"]
    result = Started([str(unshare), "--pid", "--fork", "--mount-proc", *command], cwd=tmp_path).finish()
    assert (result.stdout, result.exit_code) == ("[] 1\n", 0), result.stderr


def test_exit_is_not_delayed(tmp_path: Path) -> None:
    """When the program is done the launcher comes back at once: merging and saving take no second."""
    write(tmp_path, {"shop.py": SHOP, "app.py": SEVEN_QUOTES + "import time\nprint(time.time())\n"})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    assert time.time() - float(result.stdout.split()[1]) < 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--quite", "true"], "No such option '--quite'. Did you mean '--quiet'?"),
        (["--expert=x", "true"], "No such option '--expert'."),
        (["--quiet", "-q", "true"], "No such option '-q'."),
    ],
)
def test_a_misspelt_option_is_told_as_one(tmp_path: Path, line: list[str], said: str) -> None:
    """It is not taken for the command; behind `--` anything is one."""
    result = hookmon(["run", *line], cwd=tmp_path)
    assert said in result.stderr
    assert result.exit_code == 2
    assert "there is no such command" in hookmon(["run", "--", *line], cwd=tmp_path).stderr
