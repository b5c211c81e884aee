"""Other tools in the same program, and programs that do odd things: all of them get what they get without us."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import urllib.request
from pathlib import Path

import pytest
from support import interpreters
from support.engines import ENGINES
from support.runs import (
    HOOKMON,
    PYTHON,
    Started,
    bare_run,
    blind_spots,
    calls,
    environment,
    errors,
    hookmon,
    hookmon_run,
    hookmon_start,
    wait_until,
    watch,
    write,
)

pytestmark = pytest.mark.usefixtures("warm_launcher")

SCRIPTS = Path(HOOKMON).parent

SHOP = """
    def quote(number):
        return number * number

    def call(function, *args):
        return function(*args)
"""
WATCH_SHOP = watch("shop", "quote", "call")
IS_PURE = os.environ.get("HOOKMON_ENGINE") == "pure"


def need(tool: str) -> str:
    """Return the path of a tool in our environment, or skip the test and say which one is missing."""
    path = SCRIPTS / tool
    if not path.exists():
        pytest.skip(f"{tool} is not installed here")
    return str(path)


# coverage, debuggers, profilers, tracers


def test_coverage_of_processes_is_what_it_is(tmp_path: Path) -> None:
    """`coverage run` with parallel files and patched subprocesses finds the same lines in all processes; calls are counted."""
    need("coverage")
    program = """
    import os, subprocess, sys, threading
    import shop

    def branch(number):
        if number > 1:
            return shop.quote(number)
        return -1

    if len(sys.argv) > 1:
        print(branch(int(sys.argv[1])))
    else:
        for number in ("1", "5"):
            subprocess.run([sys.executable, "app.py", number], check=True)
        thread = threading.Thread(target=branch, args=(3,))
        thread.start()
        thread.join()
    """
    settings = "[run]\nparallel = true\npatch = subprocess\nbranch = true\nsource = .\n"
    command = [PYTHON, "-m", "coverage", "run", "app.py"]
    found, runs = [], []
    for name in ("bare", "under"):
        folder = write(tmp_path / name, {"shop.py": SHOP, "app.py": program})
        (folder / ".coveragerc").write_text(settings)
        result = bare_run(command, cwd=folder) if name == "bare" else hookmon_run(command, cwd=folder, config=WATCH_SHOP)
        runs.append(result)
        assert len(list(folder.glob(".coverage.*"))) == 3, result.stderr
        bare_run([PYTHON, "-m", "coverage", "combine", "-q"], cwd=folder)
        measured = json.loads(bare_run([PYTHON, "-m", "coverage", "json", "-q", "-o", "-"], cwd=folder).stdout)
        found.append(
            {
                file: [content[key] for key in ("executed_lines", "missing_lines", "executed_branches", "missing_branches")]
                for file, content in measured["files"].items()
            }
        )
    assert runs[0].seen == runs[1].seen
    assert found[0] == found[1]
    assert calls(runs[1].report, "shop:quote") == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_coverage_measures_no_file_of_ours(engine: str, tmp_path: Path) -> None:
    """Also where nobody says what is to be measured, and hookmon is in another environment than the program."""
    need("coverage")
    write(tmp_path, {"shop.py": SHOP, "app.py": "import shop\ndef buy():\n    return shop.quote(2)\nbuy()\n"})
    found = []
    for runner in (bare_run, hookmon_run):
        options = (
            {} if runner is bare_run else {"config": WATCH_SHOP + watch("__main__", "buy"), "env": {"HOOKMON_ENGINE": engine}}
        )
        result = runner([PYTHON, "-m", "coverage", "run", "--branch", "app.py"], cwd=tmp_path, **options)
        assert result.exit_code == 0, result.stderr
        measured = json.loads(bare_run([PYTHON, "-m", "coverage", "json", "-q", "-o", "-"], cwd=tmp_path).stdout)
        found.append((measured["totals"], {name: file["executed_lines"] for name, file in measured["files"].items()}))
    assert found[0] == found[1]
    assert (calls(result.report, "__main__:buy"), calls(result.report, "shop:quote")) == (1, 1)


TOOLS = {
    "pdb": [PYTHON, "-m", "pdb", "-c", "continue", "app.py"],
    "trace": [PYTHON, "-m", "trace", "--count", "--coverdir", "counts", "app.py"],
    "cProfile": [PYTHON, "-m", "cProfile", "-o", "profile", "app.py"],
    "tracemalloc": [PYTHON, "-X", "tracemalloc=5", "app.py"],
    "faulthandler": [PYTHON, "-X", "faulthandler", "app.py"],
}


@pytest.mark.parametrize("command", TOOLS.values(), ids=TOOLS)
def test_debuggers_and_profilers_work(command: list[str], tmp_path: Path) -> None:
    """A debugger, tracer or profiler of the standard library prints the same, and the calls are counted."""
    write(tmp_path, {"shop.py": SHOP, "app.py": "import shop\nprint([shop.call(shop.quote, n) for n in range(4)])\n"})
    bare = bare_run(command, cwd=tmp_path, stdin=b"quit\n")
    under = hookmon_run(command, cwd=tmp_path, config=WATCH_SHOP, stdin=b"quit\n")
    assert "[0, 1, 4, 9]" in bare.stdout
    assert under.seen == bare.seen
    assert calls(under.report, "shop:quote") == 4


TRACES = """
    import sys, threading, shop

    seen = []

    def trace(frame, event, argument):
        name = frame.f_code.co_filename.rpartition("/")[2]
        if name in ("shop.py", "app.py"):
            seen.append((name, frame.f_code.co_name, event, frame.f_lineno, repr(argument)))
        return trace

    def main():
        for number in range(3):
            shop.call(shop.quote, number)
        try:
            shop.quote("three")
        except TypeError:
            pass

    {setter}(trace)
    main()
    {setter}(None)
    print(len(seen))
    for event in seen:
        print(*event)
"""


@pytest.mark.parametrize("setter", ["sys.settrace", "sys.setprofile"])
def test_a_program_that_traces_itself_sees_its_own_events(setter: str, tmp_path: Path) -> None:
    """The events of the program's own files, with their lines and values, are those of a bare run."""
    write(tmp_path, {"shop.py": SHOP, "app.py": TRACES.format(setter=setter)})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    assert "quote call" in bare.stdout
    assert under.seen == bare.seen
    assert (calls(under.report, "shop:quote"), errors(under.report, "shop:quote")) == (4, 1)


def test_verbose_imports_name_the_same_modules(tmp_path: Path) -> None:
    """`python -v` tells of the program's imports in the same order; beyond them only of a handful of ours."""
    write(tmp_path, {"app.py": "import json, decimal\nprint(decimal.Decimal(1))\n"})

    def imports_in(stderr: str) -> list[str]:
        return re.findall(r"^import '([\w.]+)'", stderr, re.MULTILINE)

    python = interpreters.base_python()
    bare = bare_run([python, "-v", "app.py"], cwd=tmp_path)
    under = hookmon_run([python, "-v", "app.py"], cwd=tmp_path, config=watch("shop", "quote"))
    assert under.stdout == bare.stdout
    known, seen = imports_in(bare.stderr), imports_in(under.stderr)
    added = [name for name in seen if name not in known]
    assert [name for name in seen if name in known] == known
    assert len(added) <= 6, added
    assert all("hookmon" in name or name in ("sitecustomize", "__future__") for name in added), added


APM_PROGRAM = """
    import json, sqlite3, sys, time, urllib.request, shop

    with sqlite3.connect(":memory:") as connection:
        for number in range(5):
            shop.quote(number)
            connection.execute("SELECT 1")
    print(any(name.partition(".")[0] in ("ddtrace", "opentelemetry") for name in sys.modules))
    time.sleep(0.5)  # long enough to be looked at from outside
"""

APM_TOOLS = {
    "ddtrace": ["ddtrace-run", PYTHON, "app.py"],
    "opentelemetry": ["opentelemetry-instrument", PYTHON, "app.py"],
}
APM_QUIET: dict[str, str | None] = {
    "DD_TRACE_ENABLED": "false",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_CRASHTRACKING_ENABLED": "false",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}


@pytest.mark.parametrize("order", ["hookmon outside", "hookmon inside"])
@pytest.mark.parametrize("tool", APM_TOOLS)
def test_another_agent_in_the_same_program(tool: str, order: str, tmp_path: Path) -> None:
    """Another tool's agent and ours watch one program together, whoever was first: both are there, calls count once."""
    command = [need(APM_TOOLS[tool][0]), *APM_TOOLS[tool][1:]]
    write(tmp_path, {"shop.py": SHOP, "app.py": APM_PROGRAM})
    if order == "hookmon outside":
        result = hookmon_run(command, cwd=tmp_path, config=WATCH_SHOP, env=APM_QUIET)
        report = result.report
        if tool == "opentelemetry":  # it puts a sitecustomize before ours that does not pass on
            assert (result.stdout, result.exit_code) == ("True\n", 0), result.stderr
            assert [line for line in blind_spots(report) if "has a sitecustomize of its own" in line], blind_spots(report)
            return
    else:
        (tmp_path / "hookmon.toml").write_text(WATCH_SHOP)
        inner = [HOOKMON, "run", "--quiet", "--format", "json", "--output", "report.json", PYTHON, "app.py"]
        result = Started([command[0], *inner], cwd=tmp_path, env=APM_QUIET).finish()
        report = json.loads((tmp_path / "report.json").read_text())
    assert (result.stdout, result.exit_code) == ("True\n", 0), result.stderr
    assert "Traceback" not in result.stderr
    assert calls(report, "shop:quote") == 5
    assert sum(row["calls"] for row in report["calls"] if row["name"] == "SELECT ?") == 5


# Stand-ins for agents whose packages are not in the test extra: what their sitecustomize does with PYTHONPATH and with ours.

PUTS_ITSELF_FIRST = """
    import os, sys
    here = os.path.dirname(os.path.abspath(__file__))
    entries = os.environ["PYTHONPATH"].split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *(entry for entry in entries if entry != here)])
    sys.modules["agent"] = sys
"""  # opentelemetry-instrumentation 0.66b2, which passes on to nobody

PASSES_ON = """
    import importlib.util, os, sys, warnings
    from importlib.machinery import PathFinder
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    warnings.simplefilter("ignore")  # load_module is deprecated
    spec = PathFinder.find_spec("sitecustomize", path=sys.path)
    if spec is not None:
        {load}
    sys.modules["agent"] = sys
"""
LOADS = {
    "load_module": "spec.loader.load_module('sitecustomize')",  # newrelic 14.1
    "exec_module": "spec.loader.exec_module(importlib.util.module_from_spec(spec))",
}
HAS_CHILDREN = """
    import multiprocessing, os, subprocess, sys
    import shop

    def child(count):
        for number in range(count): shop.quote(number)
        print(count, "agent" in sys.modules, flush=True)

    if __name__ == "__main__":
        child(1)
        inner = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import app; app.child(4)'], check=True)"
        for code in ("import app; app.child(2)", inner):
            subprocess.run([sys.executable, "-c", code], check=True)
        for method, count in (("spawn", 8), ("forkserver", 16), ("fork", 32)):
            process = multiprocessing.get_context(method).Process(target=child, args=(count,))
            process.start()
            process.join()
"""


FIRST = {"puts itself first": PUTS_ITSELF_FIRST, "passes on": PASSES_ON.replace("{load}", LOADS["load_module"])}


@pytest.mark.parametrize("tool", FIRST.values(), ids=FIRST)
def test_children_beside_an_agent_that_was_there_first(tool: str, tmp_path: Path) -> None:
    """`TOOL hookmon run COMMAND`: every child process has the tool's agent and ours, however it is started."""
    write(tmp_path, {"tool/sitecustomize.py": tool, "shop.py": SHOP, "app.py": HAS_CHILDREN})
    env: dict[str, str | None] = {"PYTHONPATH": f"{tmp_path}/tool:{tmp_path}"}
    result = hookmon_run([interpreters.base_python(), "app.py"], cwd=tmp_path, env=env, config=WATCH_SHOP, isolated=True)
    assert (result.stderr, result.exit_code) == ("", 0)
    assert result.stdout.splitlines() == [f"{2**power} True" for power in range(6)]
    assert calls(result.report, "shop:quote") == 63
    assert blind_spots(result.report) == []


OWN = {
    "none": None,
    "prints": "print('own', __name__)\n",
    "misses a module": "import nothing_of_that_name\n",
    "raises": "raise RuntimeError('broken')\n",
}


@pytest.mark.parametrize("own", OWN.values(), ids=OWN)
@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_an_agent_that_passes_on_to_ours_starts_as_without_it(load: str, own: str | None, tmp_path: Path) -> None:
    """`hookmon run TOOL COMMAND`: the tool finds our sitecustomize behind its own, executes it, and goes on as without."""
    program = "import shop, sys\nprint(shop.quote(3), 'agent' in sys.modules, 'sitecustomize' in sys.modules)\n"
    write(tmp_path, {"tool/sitecustomize.py": PASSES_ON.replace("{load}", load), "shop.py": SHOP, "app.py": program})
    if own is not None:
        write(tmp_path, {"own/sitecustomize.py": own})
    command = ["sh", "-c", f"PYTHONPATH={tmp_path}/tool:$PYTHONPATH exec {interpreters.base_python()} app.py"]
    env: dict[str, str | None] = {"PYTHONPATH": f"{tmp_path}/own"}
    bare = bare_run(command, cwd=tmp_path, env=env)
    under = hookmon_run(command, cwd=tmp_path, env=env, config=WATCH_SHOP, isolated=True)
    assert bare.stdout.startswith("own" if own == OWN["prints"] else "9 ")
    assert under.seen == bare.seen
    assert calls(under.report, "shop:quote") == 1


def test_pytest_rewrites_a_watched_conftest(tmp_path: Path) -> None:
    """A conftest and test modules that are watched themselves keep their rewritten assertions, fixtures and outcome."""
    need("pytest")
    conftest = """
    import pytest

    def check(left, right):
        assert left == right

    @pytest.fixture
    def basket():
        yield [1, 2]

    def pytest_configure(config):
        config.addinivalue_line("markers", "slow: takes long")
    """
    test = """
    import pytest, shop
    from conftest import check

    def test_right(basket):
        check(shop.quote(2), 4)
        assert len(basket) == 2

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_some(number):
        check(shop.quote(number), 4)

    class TestMore:
        def test_left(self, basket):
            left = {"a": [1, 2, 3], "b": shop.quote(3)}
            assert left == {"a": basket, "b": 10}
    """
    write(tmp_path, {"shop.py": SHOP, "conftest.py": conftest, "test_shop.py": test, "pytest.ini": "[pytest]\n"})
    command = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-vv", "--tb=short", "--durations=0", "--durations-min=60"]
    config = WATCH_SHOP + watch("conftest", "check") + watch("test_shop", "test_*", "TestMore.*")
    env: dict[str, str | None] = {"PYTHONHASHSEED": "0"}  # pytest lists the differences of dictionaries in the order of a set
    bare = bare_run(command, cwd=tmp_path, env=env)
    under = hookmon_run(command, cwd=tmp_path, config=config, env=env)

    def without_noise(text: str) -> list[str]:  # less the session's duration and frames of ours
        lines = re.sub(r"in \d+\.\d+s", "in …", text).splitlines()
        return [line for line in lines if "hookmon" not in line and "return self.__wrapped__" not in line]

    assert "E   assert 1 == 4" in bare.stdout
    assert "3 failed, 2 passed" in bare.stdout
    assert under.exit_code == bare.exit_code == 1
    if not IS_PURE:  # its frames stand in the tracebacks
        assert without_noise(under.stdout) == without_noise(bare.stdout)
    assert [line for line in without_noise(under.stdout) if line.startswith("E ")] == [
        line for line in without_noise(bare.stdout) if line.startswith("E ")
    ]
    assert calls(under.report, "shop:quote") == 5
    assert (calls(under.report, "conftest:check"), errors(under.report, "conftest:check")) == (4, 2)


# servers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_flask_run_with_its_reloader(tmp_path: Path) -> None:
    """`flask run` with the reloader: requests before and after a reload are counted, in the processes that served them."""
    need("flask")
    web = """
    import os, flask, shop

    app = flask.Flask(__name__)

    @app.get("/<int:number>")
    def show(number):
        return f"{VERSION} {os.getpid()} {shop.quote(number)}"

    VERSION = 1
    """
    write(tmp_path, {"shop.py": SHOP, "web.py": web})
    port = free_port()
    command = [str(SCRIPTS / "flask"), "--app", "web", "run", "--reload", "--port", str(port)]
    running = hookmon_start(command, cwd=tmp_path, config=WATCH_SHOP)
    answers: list[list[str]] = []
    lost: list[Exception] = []  # requests that the reload cut off, perhaps after the call

    def ask(version: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/3", timeout=60) as answer:
                answers.append(answer.read().decode().split())
        except (OSError, http.client.HTTPException) as error:
            lost.append(error)
            return False
        return answers[-1][0] == version

    try:
        wait_until(lambda: ask("1"), "the first answer")
        for _ in range(4):
            assert ask("1")
        (tmp_path / "web.py").write_text((tmp_path / "web.py").read_text().replace("VERSION = 1", "VERSION = 2"))
        later = (tmp_path / "web.py").stat().st_mtime + 5
        os.utime(tmp_path / "web.py", (later, later))
        wait_until(lambda: ask("2"), "an answer of the reloaded program")
        os.killpg(running.process.pid, signal.SIGINT)  # as Control-C does
        result = running.finish()
    finally:
        running.kill()
    assert {answer[2] for answer in answers} == {"9"}
    assert len(answers) <= calls(result.report, "shop:quote") <= len(answers) + len(lost)
    assert {answer[1] for answer in answers} <= {str(process["pid"]) for process in result.report["processes"]}


# environments


def test_folders_with_blanks_and_other_signs(tmp_path: Path) -> None:
    """A project, PYTHONPATH and temporary folder with blanks, quotes, colons, % and letters of any script are no obstacle."""
    folder = tmp_path / "my project's «50 %» $HOME é 日本"
    write(folder, {"a b/shop.py": SHOP, "c:d/app.py": "import shop, sys\nprint(shop.quote(3), sys.path[0])\n", "t m p/x": ""})
    command = [PYTHON, "c:d/app.py"]
    env: dict[str, str | None] = {"PYTHONPATH": f"{folder}/a b:{folder}/no such", "TMPDIR": f"{folder}/t m p"}
    bare = bare_run(command, cwd=folder, env=env)
    under = hookmon_run(command, cwd=folder, env=env, config=WATCH_SHOP)
    assert bare.stdout.startswith("9 ")
    assert under.seen == bare.seen
    assert calls(under.report, "shop:quote") == 1
    assert under.report["run"]["command"] == command


def test_a_child_without_pythonpath_is_named(tmp_path: Path) -> None:
    """A program that deletes PYTHONPATH from its environment goes on being watched; its children, out of reach, are named."""
    program = """
    import os, subprocess, sys, shop

    shop.quote(1)
    del os.environ["PYTHONPATH"]
    subprocess.run([sys.executable, "-c", "import shop, time; print(shop.quote(3)); time.sleep(1.2)"], check=True)
    pid = os.fork()
    if not pid:
        shop.quote(4)
        os._exit(0)
    os.waitpid(pid, 0)
    shop.quote(2)
    """
    write(tmp_path, {"shop.py": SHOP, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    assert (result.stdout, result.stderr, result.exit_code) == ("9\n", "", 0)
    assert calls(result.report, "shop:quote") == 3
    assert len([line for line in blind_spots(result.report) if "PYTHONPATH is missing" in line]) == 1


@pytest.mark.parametrize("call", ["execv(P, [P, S, N])", "execl(P, P, S, N)", "execvpe(P, [P, S, N], dict(os.environ))"])
def test_a_chain_of_execs_is_one_process_with_all_calls(call: str, tmp_path: Path) -> None:
    """A process that replaces itself five times is counted every time, up to the moment of each exec."""
    program = f"""
    import os, sys, shop

    number = int(sys.argv[1])
    for _ in range(10 + number):
        shop.quote(number)
    if number:
        P, S, N = sys.executable, sys.argv[0], str(number - 1)
        os.{call}
    print("end", os.getpid())
    """
    write(tmp_path, {"shop.py": SHOP, "app.py": program})
    result = hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=WATCH_SHOP)
    assert result.stdout.startswith("end "), result.stderr
    assert calls(result.report, "shop:quote") == 6 * 10 + 15
    assert [str(process["pid"]) for process in result.report["processes"]] == [result.stdout.split()[1]] * len(
        result.report["processes"]
    )


def test_a_run_within_a_run(tmp_path: Path) -> None:
    """The inner hookmon has the program's calls, the outer one does not count them again; both keep the exit code."""
    write(tmp_path, {"shop.py": SHOP, "app.py": "import shop\nprint(shop.quote(3))\nraise SystemExit(4)\n"})
    inner = [HOOKMON, "run", "--format", "json", "--output", "inner.json", "--", PYTHON, "app.py"]
    result = hookmon_run(inner, cwd=tmp_path, config=WATCH_SHOP)
    assert (result.stdout, result.stderr, result.exit_code) == ("9\n", "", 4)
    assert calls(json.loads((tmp_path / "inner.json").read_text()), "shop:quote") == 1
    assert calls(result.report, "shop:quote") == 0


@pytest.mark.parametrize("first", ["the patching", "the import"])
def test_gevent_before_and_after_the_first_watched_import(first: str, tmp_path: Path) -> None:
    """`gevent.monkey.patch_all()` and the first watched import in either order: no warning, the calls are counted."""
    pytest.importorskip("gevent")
    lines = ["from gevent import monkey; monkey.patch_all()", "import shop; shop.quote(1)"]
    lines = [*(lines if first == "the patching" else lines[::-1]), "import socket, ssl, threading, subprocess, gevent"]
    lines += ["threads = [threading.Thread(target=shop.quote, args=(n,)) for n in range(9)]"]
    lines += ["for thread in threads: thread.start()", "for thread in threads: thread.join()"]
    lines += [
        "gevent.joinall([gevent.spawn(shop.call, gevent.sleep, 0.01) for _ in range(20)])",
        "print(threading, socket.socket)",
    ]
    write(tmp_path, {"shop.py": SHOP, "app.py": "\n".join(lines)})
    command = [PYTHON, "-W", "always", "app.py"]
    bare = bare_run(command, cwd=tmp_path)
    under = hookmon_run(command, cwd=tmp_path, config=WATCH_SHOP)
    assert "MonkeyPatchWarning" not in bare.stderr + under.stderr
    assert under.seen == bare.seen
    assert (calls(under.report, "shop:quote"), calls(under.report, "shop:call")) == (10, 20)


STOPS_ITS_CLOCKS = """
    import sys, time, shop

    def freeze():  # as freezegun does it: in all modules, wherever somebody holds one of the clocks
        names = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")
        clocks = {id(getattr(time, name)): name for name in names}
        for module in [module for name, module in list(sys.modules.items()) if hasattr(module, "__dict__")]:
            for name, value in list(vars(module).items()):
                if id(value) in clocks:
                    setattr(module, name, lambda: 12345)

    shop.call(time.sleep, 0.05)
    freeze()
    assert time.monotonic_ns() == 12345
    shop.call(time.sleep, 0.05)
"""


def test_a_program_that_stops_its_clocks_is_still_timed(tmp_path: Path) -> None:
    """A test tool that puts a stopped clock into every module does not stop ours."""
    write(tmp_path, {"shop.py": SHOP, "app.py": STOPS_ITS_CLOCKS})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    assert (result.stderr, result.exit_code) == ("", 0)
    found = next(row for row in result.report["calls"] if row["target"] == "shop:call")
    assert found["calls"] == 2
    assert 0.1e9 <= found["total_ns"] < 30e9
    assert found["max_ns"] < 30e9


def test_nothing_of_the_users_is_changed(tmp_path: Path) -> None:
    """Beside the run's own folder no file is added, changed or touched: in the project, the home or the environment."""
    python = interpreters.new_virtualenv(tmp_path / "venv")
    write(interpreters.site_packages(python), {"lib.py": SHOP})
    write(tmp_path / "work", {"shop.py": SHOP, "app.py": "import lib, shop\nprint(shop.quote(2))\n", "hookmon.toml": WATCH_SHOP})
    (tmp_path / "home").mkdir()
    env: dict[str, str | None] = {"HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"XDG_STATE_HOME": None, "XDG_CACHE_HOME": None}

    def list_files() -> dict[str, tuple[int, int, int]]:
        found = {}
        for path in tmp_path.rglob("*"):
            if not path.is_relative_to(tmp_path / "home" / ".cache") and not path.is_relative_to(tmp_path / "work" / ".hookmon"):
                status = path.lstat()
                is_file = not path.is_dir()
                found[str(path)] = (status.st_mode, status.st_size * is_file, status.st_mtime_ns * is_file)
        return found

    before = list_files()
    result = Started([HOOKMON, "run", str(python), "app.py"], cwd=tmp_path / "work", env=env).finish()
    assert (result.stdout, result.exit_code) == ("4\n", 0)
    after = list_files()
    assert after == before
    assert {path.name for path in (tmp_path / "work" / ".hookmon").iterdir()} <= {".gitignore", "run-0001.sqlite"}


# faults around the launcher


def test_planted_links_are_not_followed(tmp_path: Path) -> None:
    """Links that someone else laid where our files would be lead nowhere: what they point at stays as it was."""
    write(tmp_path, {"shop.py": SHOP, "app.py": "import shop\nprint(shop.quote(2))\n", "victim": "mine\n", "folder/x": "mine\n"})
    kept = tmp_path / ".hookmon"
    kept.mkdir()
    for number in range(1, 4):
        (kept / f"run-000{number}.sqlite").symlink_to(tmp_path / ("victim", "created", "folder")[number - 1])
    (kept / ".gitignore").symlink_to(tmp_path / "created too")
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    assert (result.stdout, result.exit_code) == ("4\n", 0), result.stderr
    assert calls(result.report, "shop:quote") == 1
    assert (tmp_path / "victim").read_text() == "mine\n"
    assert not (tmp_path / "created").exists()
    assert not (tmp_path / "created too").exists()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["x"]


def test_a_system_without_a_temporary_folder_is_no_obstacle(tmp_path: Path) -> None:
    """In a container whose only writable place is the shared memory, programs are watched."""
    unshare = "/usr/bin/unshare"
    if not os.path.exists(unshare) or bare_run([unshare, "--mount", "true"], cwd=tmp_path).exit_code:
        pytest.skip("no permission here to make a file system read-only (unshare --mount)")
    write(tmp_path, {"shop.py": SHOP, "app.py": "import shop\nprint(shop.quote(2))\n", "hookmon.toml": WATCH_SHOP})
    places = "/tmp /var/tmp /usr/tmp . /dev/shm"
    script = f"for place in {places}; do mount --bind $place $place; mount -o remount,bind,ro $place; done 2>/dev/null\n"
    script += f"mount -t tmpfs none /dev/shm && cd . && exec {HOOKMON} run {PYTHON} app.py"
    result = Started([unshare, "--mount", "sh", "-c", script], cwd=tmp_path, env={"XDG_STATE_HOME": "/proc/none"}).finish()
    assert (result.stdout, result.exit_code) == ("4\n", 0), result.stderr
    assert re.search(r"^  quote +1 ", result.stderr, re.MULTILINE)
    assert "Traceback" not in result.stderr


# tracebacks and the report's own output


def test_a_traceback_through_watched_calls_is_the_same(tmp_path: Path) -> None:
    """An uncaught exception that passes through watched calls prints the same bytes; the pure engine's own frames apart."""
    program = "import shop\n\ndef start():\n    shop.call(shop.call, shop.quote, 'x')\n\nstart()\n"
    write(tmp_path, {"shop.py": SHOP, "app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    if IS_PURE:
        frame = r'  File "[^"]*/hookmon/probe/[^"]*", line \d+, in \w+\n(    .*\n)*'
        under.stderr = re.sub(frame, "", under.stderr)
    assert "TypeError" in bare.stderr
    assert under.seen == bare.seen


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_columns_rules_the_width(columns: int, tmp_path: Path) -> None:
    """COLUMNS sets the width of the report: no line is longer, and the names of the calls are still there."""
    program = "import shop\nfor n in range(30): shop.call(shop.quote, n)\n"
    write(tmp_path, {"shop.py": SHOP, "app.py": program, "hookmon.toml": WATCH_SHOP})
    result = Started([HOOKMON, "run", PYTHON, "app.py"], cwd=tmp_path, env={"COLUMNS": str(columns)}).finish()
    lines = result.stderr.splitlines()
    assert max(map(len, lines)) <= columns
    assert any(re.match(r"\s+quote\s+30\b", line) for line in lines), result.stderr


def test_a_reader_that_goes_away_ends_the_report_quietly(tmp_path: Path) -> None:
    """`| head -1` gets its line of the report at once; the program's exit code and the saved run stay."""
    write(tmp_path, {"shop.py": SHOP, "app.py": "import shop\nshop.quote(2)\nraise SystemExit(3)\n", "hookmon.toml": WATCH_SHOP})
    command = f"({HOOKMON} run {PYTHON} app.py 2>&1; echo $? >code) | head -1; {HOOKMON} report --all | head -1"
    result = Started(["sh", "-c", command], cwd=tmp_path, env=environment(tmp_path)).finish()
    assert result.stderr == ""
    assert [line.endswith("run 1") for line in result.stdout.splitlines()] == [True, True]
    assert (tmp_path / "code").read_text() == "3\n"
    assert hookmon(["report", "1"], cwd=tmp_path).exit_code == 0
