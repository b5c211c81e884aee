"""`hookmon doctor`: its verdict is held against what a real run says."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.interpreters import need, new_virtualenv, site_packages
from support.runs import Result, hookmon, hookmon_run, write

from hookmon.collector.command import resolve

pytestmark = pytest.mark.usefixtures("warm_launcher")

PYTHON = sys.executable


def doctor(cwd: Path, *command: str, env: dict[str, str | None] | None = None) -> Result:
    return hookmon(["doctor", *command], cwd=cwd, env=env)


def answers(cwd: Path, *command: str, env: dict[str, str | None] | None = None) -> dict[str, Any]:
    done = doctor(cwd, "--json", *command, env=env)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert done.exit_code == (1 if found["watched"] is False else 0)
    return {check["what"]: (check["answer"], check["detail"]) for check in found["checks"]} | {"watched": found["watched"]}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A program, and scripts that start it in every way."""
    write(
        tmp_path,
        {
            "hookmon.toml": '[[watch]]\nmodule = "work"\ncalls = ["job"]\n',
            "work.py": "def job(): pass\n",
            "app.py": "import work\nwork.job()\n",
            "plain": f"#!{PYTHON}\nimport work\nwork.job()\n",
            "isolated": f"#!{PYTHON} -sE\nimport sys\nsys.path.insert(0, '.')\nimport work\nwork.job()\n",
            "by_env": "#!/usr/bin/env python-of-this-test\nimport work\nwork.job()\n",
            "split": f"#!/usr/bin/env -S {PYTHON} -O\nimport work\nwork.job()\n",
            "trick": f"#!/bin/sh\n'''exec' {PYTHON} \"$0\" \"$@\"\n' '''\nimport work\nwork.job()\n",
            "shell": f"#!/bin/sh\nexec {PYTHON} app.py\n",
            "gone": "#!/no/such/python\n",
        },
    )
    for name in ("plain", "isolated", "by_env", "split", "trick", "shell", "gone"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python-of-this-test").symlink_to(PYTHON)
    return tmp_path


COMMANDS = {
    "an interpreter": ([PYTHON, "app.py"], True),
    "with options": ([PYTHON, "-W", "error", "-X", "utf8", "-OO", "app.py"], True),
    "a module": ([PYTHON, "-m", "app"], True),
    "code": ([PYTHON, "-c", "import work; work.job()"], True),
    "a shebang": (["./plain"], True),
    "a shebang with env -S": (["./split"], True),
    "a long path's trick": (["./trick"], True),
    "env with a variable": (["env", "A=1", PYTHON, "app.py"], True),
    "isolated": ([PYTHON, "-I", "-c", "import sys; sys.path.insert(0, '.'); import work; work.job()"], False),
    "no environment": ([PYTHON, "-E", "app.py"], False),
    "no site": ([PYTHON, "-S", "app.py"], False),
    "options in one word": ([PYTHON, "-BI", "-c", "pass"], False),
    "a shebang that isolates": (["./isolated"], False),
    "a cleared environment": (["env", "-i", PYTHON, "app.py"], False),
    "another PYTHONPATH": (["env", "PYTHONPATH=.", PYTHON, "app.py"], False),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_verdict_is_what_a_run_shows(project: Path, name: str):
    """Watched or not, said before and seen after."""
    command, is_watched = COMMANDS[name]
    assert answers(project, *command)["watched"] is is_watched
    report = hookmon_run(command, cwd=project).report
    main = next(row for row in report["processes"] if row["pid"] == report["run"]["main_pid"])
    assert bool(main["python"]) is is_watched
    assert bool(report["calls"]) is is_watched


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_the_engine_is_named_with_what_it_reads_or_why_it_is_the_pure_one(project: Path, engine: str):
    """What is read past CPython's interface passed its check; the versions that have no such reads are asked as others are."""
    found = answers(project, PYTHON, "app.py", env={"HOOKMON_ENGINE": engine})["engine"]
    if engine == "pure":
        assert found == ("yes", "pure: HOOKMON_ENGINE is pure; a call costs 1 µs, not 0.1")
    elif find_spec("hookmon.probe._engine") is None:
        why = "pure: the compiled one was not built for this interpreter; a call costs 1 µs, not 0.1"
        assert found == ("yes", f"{why}; hookmon engine build --python {PYTHON} builds it")
    else:
        reads = "frames, contexts, trees, values" if sys.version_info < (3, 14) else "nothing"
        assert found == ("yes", f"compiled; it reads {reads} past CPython's interface")


def test_a_switched_off_probe_is_named(project: Path):
    """HOOKMON_DISABLE."""
    found = answers(project, PYTHON, "app.py", env={"HOOKMON_DISABLE": "1"})
    assert found["probe"] == ("no", "HOOKMON_DISABLE is set")


def test_the_way_to_the_interpreter_is_shown(project: Path):
    """Each file on it."""
    path = f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}"
    found = answers(project, "./by_env", env={"PATH": path})
    assert found["watched"] is True
    assert found["command"] == ("yes", f"./by_env → {shutil.which('env')} → {project / 'bin' / 'python-of-this-test'}")


def test_of_what_is_no_python_nothing_is_claimed(project: Path):
    """A wrapper, a shell script: the Python that it starts is watched, and that is said; it stops nobody's pipeline."""
    for command in (["./shell"], ["timeout", "5", PYTHON, "app.py"], ["ls"]):
        found = answers(project, *command)
        assert (found["watched"], found["command"][0]) == (None, "unknown")
        assert "; Python programs that it starts are watched" in found["command"][1]
    assert "./shell is a shell script" in answers(project, "./shell")["command"][1]
    assert hookmon_run(["timeout", "50", PYTHON, "app.py"], cwd=project).report["calls"] != []


def test_a_pex_is_named(project: Path):
    """It would start its interpreter a second time, isolated; any other archive is watched."""
    for name, content in (("app.pex", "PEX-INFO"), ("app.pyz", "other.txt")):
        with open(project / name, "wb") as file:
            file.write(f"#!{PYTHON}\n".encode())
            with zipfile.ZipFile(file, "a") as archive:
                archive.writestr("__main__.py", "")
                archive.writestr(content, "{}")
        (project / name).chmod(0o755)
    found = answers(project, "./app.pex")
    assert found["watched"] is False
    assert "is a PEX" in found["script"][1]
    assert answers(project, "./app.pyz")["watched"] is True


@pytest.mark.parametrize(
    ("command", "text"),
    [("no-such-command", "there is no such command"), ("./gone", "/no/such/python: there is no such command")],
)
def test_a_command_that_cannot_start_is_named(project: Path, command: str, text: str):
    """Without a traceback."""
    found = answers(project, command)
    assert found["watched"] is False
    assert text in found["command"][1]


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.10"])
def test_an_old_interpreter_is_named(project: Path, version: str):
    """With its version."""
    found = answers(project, need(version), "app.py")
    assert found["watched"] is False
    assert found["interpreter"][0] == "no"
    assert found["interpreter"][1].startswith(f"cpython {version}.")
    assert not [what for what in found if what.startswith("pack")]  # none of them would work there


def test_packs_are_those_of_the_interpreter_asked(project: Path):
    """Not of hookmon's own environment."""
    pytest.importorskip("redis")
    python = new_virtualenv(project / "venv")
    here, there = answers(project, PYTHON, "app.py"), answers(project, str(python), "app.py")
    assert here["pack redis"][0] == "yes"
    assert there["pack redis"] == ("no", "redis is not installed there")
    assert there["pack sqlite3"][0] == "yes"
    assert answers(project, "--no-pack", "redis", PYTHON, "app.py")["pack redis"] == ("no", "switched off: --no-pack redis")
    assert there["watched"] is True


def test_another_sitecustomize_and_another_tool_are_named(project: Path):
    """They run beside us."""
    python = new_virtualenv(project / "venv")
    packages = site_packages(python)
    write(packages, {"sitecustomize.py": "print('hello')\nimport ddtrace\n", "ddtrace.py": ""})
    found = answers(project, str(python), "app.py")
    assert found["watched"] is True
    assert found["sitecustomize"] == ("note", f"{packages / 'sitecustomize.py'} runs after ours")
    assert found["other tools"][0] == "note"
    assert found["other tools"][1].startswith("ddtrace ")


def test_a_tool_that_would_come_before_us_is_named(project: Path):
    """And what to do: seen with opentelemetry-instrument, which starts its command with a PYTHONPATH of its own."""
    (project / "bin" / "opentelemetry-instrument").write_text(f"#!{PYTHON}\n")
    (project / "bin" / "opentelemetry-instrument").chmod(0o755)
    found = answers(project, str(project / "bin" / "opentelemetry-instrument"), "python", "app.py")
    assert found["watched"] is False
    assert "opentelemetry-instrument … hookmon run COMMAND" in found["other tools"][1]


def test_a_shim_of_pyenv_is_followed(project: Path):
    """By asking pyenv."""
    shim = shutil.which("python3.11", path=str(Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "shims"))
    if shim is None:
        pytest.skip("there is no pyenv here")
    found = resolve([shim, "-X", "utf8", "app.py"], os.environ)
    assert found.interpreter[0] != shim
    assert "versions" in found.interpreter[0]
    assert (found.interpreter[1:], found.arguments) == (["-X", "utf8"], ["app.py"])


def test_main_cannot_be_watched_without_a_script(project: Path):
    """A note: the rest of the configuration works."""
    found = answers(project, "--watch", "__main__:f", PYTHON, "-c", "pass")
    assert found["watched"] is True
    assert found["configuration"][0] == "note"


MAINS = {
    "a script": ([PYTHON, "app.py"], ""),
    "a module": ([PYTHON, "-m", "app"], ""),
    "a tool that is followed": (["BIN/coverage", "run", "app.py"], ""),
    "a module that is followed": ([PYTHON, "-m", "cProfile", "app.py"], ""),
    "a debugger": ([PYTHON, "-m", "pdb", "app.py"], ""),
    "a module that is not followed": (
        [PYTHON, "-m", "memory_profiler", "app.py"],
        "__main__ is the script of memory_profiler, and what that runs is not seen as such",
    ),
    "in one word": ([PYTHON, "-mdoctest", "app.py"], "__main__ is the script of doctest, and what that runs"),
    "the script of a package": (["BIN/gunicorn", "app:app"], "__main__ is BIN/gunicorn, the script of a tool"),
    "standard input": ([PYTHON], "__main__ cannot be watched: no script or module is started"),
}


@pytest.mark.parametrize("name", MAINS)
def test_what_is_not_the_script_is_said(project: Path, name: str):
    """Who watches `__main__` means the script, which a tool may run in its place."""
    command, note = MAINS[name]
    folder = os.path.dirname(PYTHON)
    tool, _, name = command[0].partition("/")
    if tool == "BIN":
        pytest.importorskip(name)
    command = [word.replace("BIN", folder) for word in command]
    found = answers(project, "--watch", "__main__:job", *command)
    assert found["watched"] is True
    assert found["configuration"][0] == ("note" if note else "yes")
    assert note.replace("BIN", folder) in found["configuration"][1]


def test_a_glob_shows_what_it_stands_for(project: Path):
    """Modules of the project or files, as many as there are; where there is none, what is near."""
    write(
        project,
        {
            "shop/__init__.py": "",
            "shop/pricing.py": "",
            "dags/sales.py": "",
            "globs.toml": """
                [[watch]]
                module = "shop.**"
                calls = ["*"]

                [[watch]]
                module = "shpo.*"
                calls = ["*"]

                [[watch]]
                file = "dags/*.py"
                calls = ["*"]

                [[watch]]
                file = "dag/*.py"
                calls = ["*"]
            """,
        },
    )
    found = answers(project, "--config", "globs.toml", PYTHON, "app.py")
    assert found["watched"] is True
    assert found["watch shop.**"] == ("yes", "2 modules of the project: shop, shop.pricing")
    assert found["watch shpo.*"] == ("note", "no module of the project is one of these; did you mean shop.*?")
    assert found["watch dags/*.py"] == ("yes", f"1 file of the project: {project}/dags/sales.py")
    assert found["watch dag/*.py"] == ("note", f"there is no file {project}/dag/*.py")


def test_a_program_with_python_inside_is_said_to_be_watched(project: Path):
    """As uWSGI is."""
    (project / "uwsgi").write_bytes(b"\x7fELF")
    (project / "uwsgi").chmod(0o755)
    found = answers(project, "./uwsgi", "--master")
    assert (found["watched"], found["command"][0]) == (None, "unknown")
    assert "uwsgi is no Python program, but has an interpreter in it, which is watched" in found["command"][1]


def test_packs_that_are_off_for_the_same_reason_are_one_line(project: Path):
    """Each has its own in the JSON."""
    shown = doctor(project, "--no-pack", "*", PYTHON, "app.py").stdout
    assert shown.count("switched off: --no-pack *") == 1
    assert "redis, " in " ".join(shown.split())
    assert answers(project, "--no-pack", "*", PYTHON, "app.py")["pack redis"] == ("no", "switched off: --no-pack *")


def test_the_program_is_not_started(project: Path):
    """Only its interpreter."""
    write(project, {"app.py": "open('started', 'w')\n"})
    doctor(project, PYTHON, "app.py")
    assert not (project / "started").exists()
    assert not (project / ".hookmon").exists()


def test_nothing_is_left_behind(project: Path):
    """No run folder."""
    before = {name for name in os.listdir("/dev/shm") if name.startswith("hookmon-")}
    done = doctor(project, PYTHON, "app.py")
    assert done.exit_code == 0
    mine = [name for name in os.listdir("/dev/shm") if name.startswith("hookmon-") and name not in before]
    assert not any(
        os.path.exists(f"/dev/shm/{name}/plan") and project.name in str(Path(f"/dev/shm/{name}/plan").read_bytes())
        for name in mine
    )


@pytest.mark.parametrize(
    ("command", "own", "arguments"),
    [
        (["-c", "pass", "-I"], [], ["-c", "pass", "-I"]),
        (["-Ic", "pass"], ["-I"], ["-c", "pass"]),
        (["-Wcm", "-m", "a"], ["-Wcm"], ["-m", "a"]),
        (["-W", "c", "a.py", "-E"], ["-W", "c"], ["a.py", "-E"]),
        (["--check-hash-based-pycs", "always", "-"], ["--check-hash-based-pycs", "always"], ["-"]),
        ([], [], []),
    ],
)
def test_options_of_the_interpreter_are_told_from_those_of_the_program(command: list[str], own: list[str], arguments: list[str]):
    """As Python reads its command line."""
    found = resolve([PYTHON, *command], os.environ)
    assert (found.interpreter[1:], found.arguments) == (own, arguments)


def test_a_circle_ends(tmp_path: Path):
    """A script that is its own interpreter."""
    path = tmp_path / "circle"
    path.write_text(f"#!{path}\n")
    path.chmod(0o755)
    assert resolve([str(path)], os.environ).reason == "it leads in circles"
