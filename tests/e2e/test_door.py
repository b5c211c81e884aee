"""The second door: what `hookmon enable` writes brings the probe in where PYTHONPATH does not, and does nothing by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.interpreters import need, new_virtualenv, site_packages
from support.runs import PYTHON, bare_run, blind_spots, calls, environment, hookmon, hookmon_run, watch, write

from hookmon.collector import door

pytestmark = pytest.mark.usefixtures("warm_launcher")

WORK = "def step(number=0):\n    return number\n"
CONFIG = '[packs]\ndisable = ["*"]\n' + watch("work", "step")
PROGRAM = "import sys\nsys.path.insert(0, '.')\nimport work\nfor number in range(7): work.step(number)\n"
VERSIONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """The interpreter of an environment without hookmon, with a door."""
    python = new_virtualenv(tmp_path / "venv")
    assert hookmon(["enable", "--venv", str(tmp_path / "venv")], cwd=tmp_path).exit_code == 0
    return python


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A program of seven calls."""
    return write(tmp_path, {"work.py": WORK, "app.py": PROGRAM})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_python_that_ignores_its_environment_is_watched(version: str, tmp_path: Path, project: Path) -> None:
    """With -I, -E and -sE, which the report names where there is no door. Each process has one probe, and leaves one note."""
    python = new_virtualenv(tmp_path / "venv", os.path.realpath(need(version)))
    before = sorted(site_packages(python).iterdir())
    for options in (["-I"], ["-E"], ["-sE"]):
        bare = hookmon_run([str(python), *options, "app.py"], cwd=project, config=CONFIG).report
        assert calls(bare, "work:step") == 0
    done = hookmon(["enable", "--venv", str(tmp_path / "venv")], cwd=tmp_path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert sorted(site_packages(python).iterdir()) == sorted([*before, site_packages(python) / "hookmon-door.pth"])
    for options in (["-I"], ["-E"], ["-sE"], []):
        done = hookmon_run([str(python), *options, "app.py"], cwd=project, config=CONFIG)
        assert (done.stdout, done.stderr, done.exit_code) == ("", "", 0)
        assert (calls(done.report, "work:step"), blind_spots(done.report)) == (7, [])
        assert len(done.report["processes"]) == 1


def test_what_a_start_file_names_does_the_same(tmp_path: Path, project: Path) -> None:
    """PEP 829: the way of 3.18 and later, which 3.15 goes as well. It takes the place of the line, and both are removed."""
    python = new_virtualenv(tmp_path / "venv", os.path.realpath(need("3.15")))
    here = door.find_environment(tmp_path / "venv")
    door.write(here)
    door.write(here, by_start=True)
    assert {path.name for path in site_packages(python).glob("*hookmon*")} == {"hookmon-door.start", "_hookmon_door_entry.py"}
    for options in (["-I"], []):
        done = hookmon_run([str(python), *options, "app.py"], cwd=project, config=CONFIG)
        assert (done.stderr, calls(done.report, "work:step")) == ("", 7)
    assert bare_run([str(python), "-W", "error", "-c", "pass"], cwd=tmp_path).seen == ("", "", 0)
    assert hookmon(["disable", "--venv", str(tmp_path / "venv")], cwd=tmp_path).exit_code == 0
    assert not list(site_packages(python).glob("*hookmon*"))


ODD_STARTS = {
    "a replaced PYTHONPATH": "subprocess.run([python, 'app.py'], env={**os.environ, 'PYTHONPATH': '.'})",
    "an isolated child": "subprocess.run([python, '-I', 'app.py'])",
    "another tool's sitecustomize": (
        "path = 'tool' + os.pathsep + os.environ['PYTHONPATH']\n"
        "subprocess.run([python, 'app.py'], env={**os.environ, 'PYTHONPATH': path})"
    ),
    "site.addsitedir": "subprocess.run([python, '-S', 'by_folder.py', site.getsitepackages()[0]])",
    "site.main": "subprocess.run([python, '-S', 'by_main.py'])",
}


@pytest.mark.parametrize("name", ODD_STARTS)
def test_children_that_do_not_come_by_pythonpath_are_watched(name: str, venv: Path, project: Path) -> None:
    """Each counts its seven calls, and whatever sitecustomize the program has runs once."""
    write(
        project,
        {
            "start.py": f"import os, site, subprocess, sys\npython = sys.executable\n{ODD_STARTS[name]}\n",
            "by_folder.py": "import site, sys\nsite.addsitedir(sys.argv[1])\n" + PROGRAM,
            "by_main.py": "import site\nsite.main()\n" + PROGRAM,
            "tool/sitecustomize.py": "open('seen', 'a').write('x')\n",
        },
    )
    done = hookmon_run([str(venv), "start.py"], cwd=project, config=CONFIG)
    assert (done.stderr, calls(done.report, "work:step")) == ("", 7)
    assert (project / "seen").exists() is ("tool" in name)
    if "tool" in name:
        assert (project / "seen").read_text() == "x"


SHOWN = """
import json, os, sys
import sitecustomize
shown = {"path": sys.path, "custom": sitecustomize.__file__, "modules": sorted(sys.modules), "environment": sorted(os.environ)}
shown |= {"cache": sorted(sys.path_importer_cache), "meta": [str(finder) for finder in sys.meta_path]}
print(json.dumps(shown))
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_without_its_variable_it_does_nothing(version: str, tmp_path: Path) -> None:
    """No module, no path, no finder, no warning; and no word where hookmon is gone, or its folder is not that of a run."""
    python = new_virtualenv(tmp_path / "venv", os.path.realpath(need(version)))
    write(
        site_packages(python), {"sitecustomize.py": "told = 1\n", "other.pth": "# from 3.13 on any such file brings a codec in\n"}
    )
    bare = bare_run([str(python), "-I", "-W", "error", "-c", SHOWN], cwd=tmp_path)
    assert bare.exit_code == 0, bare.stderr
    assert hookmon(["enable", "--venv", str(tmp_path / "venv")], cwd=tmp_path).exit_code == 0
    assert bare_run([str(python), "-I", "-W", "error", "-c", SHOWN], cwd=tmp_path).seen == bare.seen
    line = site_packages(python) / "hookmon-door.pth"
    for variables in ({"HOOKMON_RUN": "/no/such/folder"}, {"HOOKMON_RUN": str(tmp_path), "HOOKMON_DISABLE": "1"}):
        done = bare_run([str(python), "-I", "-c", SHOWN], cwd=tmp_path, env=dict(variables))
        assert (done.stderr, done.exit_code) == ("", 0)
        found, expected = json.loads(done.stdout), json.loads(bare.stdout)
        assert [found[key] for key in ("path", "custom", "cache", "meta")] == [
            expected[key] for key in ("path", "custom", "cache", "meta")
        ]
    line.write_text(line.read_text().replace("hookmon_bootstrap", "hookmon_gone"))
    done = bare_run([str(python), "-I", "-c", SHOWN], cwd=tmp_path, env={"HOOKMON_RUN": "/no/such/folder"})
    assert (done.stderr, done.exit_code) == ("", 0)
    assert json.loads(done.stdout)["path"] == json.loads(bare.stdout)["path"]


def test_the_line_costs_a_fraction_of_a_start(tmp_path: Path) -> None:
    """Its instructions, beside those of an interpreter that starts and does nothing: 1.4 % on 3.12, when this was written."""
    from shutil import which

    if which("valgrind") is None:
        pytest.skip("there is no valgrind here")
    python = new_virtualenv(tmp_path / "venv")
    counts = []
    for is_enabled in (False, True):
        if is_enabled:
            door.write(door.find_environment(tmp_path / "venv"))
        command = [
            "valgrind",
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
            str(python),
            "-I",
            "-c",
            "pass",
        ]
        env = {**environment(tmp_path), "PYTHONHASHSEED": "0"}
        told = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stderr
        counts.append(int(told.rpartition("refs:")[2].split()[0].replace(",", "")))
    assert counts[0] < counts[1] < counts[0] * 1.05


def test_nothing_is_replaced_or_removed_that_is_not_ours(tmp_path: Path) -> None:
    """A file of that name, a link, a folder: one line, exit code 1, and all stays."""
    python = new_virtualenv(tmp_path / "venv")
    line = site_packages(python) / "hookmon-door.pth"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("# hookmon enable\n")
    makers = (lambda: line.write_text("import os\n"), lambda: line.symlink_to(elsewhere), line.mkdir)
    for make in makers:
        make()
        for verb in ("enable", "disable"):
            done = hookmon([verb, "--venv", str(tmp_path / "venv")], cwd=tmp_path)
            assert done.exit_code == 1
            assert done.stderr == f"hookmon: {line} is not of hookmon's making, and stays as it is [enable-refused]\n"
        assert os.path.lexists(line)
        line.rmdir() if line.is_dir() else line.unlink()
    assert elsewhere.read_text() == "# hookmon enable\n"


def test_what_was_written_is_removed_and_told(tmp_path: Path) -> None:
    """By folder or by interpreter, twice without harm, as JSON as well."""
    python = new_virtualenv(tmp_path / "venv")
    line = site_packages(python) / "hookmon-door.pth"
    before = {path: path.stat().st_mtime_ns for path in site_packages(python).rglob("*")}
    assert hookmon(["enable", "--venv", str(python)], cwd=tmp_path).stdout.startswith(f"written: {line}\n")
    assert (line.stat().st_mode & 0o777, line.read_text().isascii()) == (0o644, True)
    assert hookmon(["enable", "--venv", "venv"], cwd=tmp_path).stdout.startswith(f"renewed: {line}\n")
    found = json.loads(hookmon(["disable", "--venv", "venv", "--json"], cwd=tmp_path).stdout)
    assert found == {"python": str(python), "files": [str(line)]}
    done = hookmon(["disable", "--venv", "venv"], cwd=tmp_path)
    assert (done.stdout, done.exit_code) == (f"nothing of hookmon enable is in {line.parent}\n", 0)
    assert {path: path.stat().st_mtime_ns for path in site_packages(python).rglob("*")} == before


def test_what_is_no_environment_is_refused(tmp_path: Path) -> None:
    """A folder without an interpreter, a file that is none, a folder that cannot be written."""
    write(tmp_path, {"empty/x": "", "file": "#!/bin/sh\necho no\n"})
    (tmp_path / "file").chmod(0o755)
    for path, told in (
        ("empty", "is no environment of Python"),
        ("file", "it is no Python 3.11 or newer"),
        ("gone", "is no environment"),
    ):
        done = hookmon(["enable", "--venv", path], cwd=tmp_path)
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert told in done.stderr


@pytest.mark.parametrize("version", ["3.10", "3.9"])
def test_an_older_python_is_refused(version: str, tmp_path: Path) -> None:
    """The probe needs 3.11."""
    done = hookmon(["enable", "--venv", need(version)], cwd=tmp_path)
    assert done.exit_code == 1
    assert f"is cpython {version}, and the probe needs CPython 3.11 or newer" in done.stderr


def test_doctor_tells_of_the_door(tmp_path: Path, project: Path) -> None:
    """Whether it is there, of which hookmon, and what mends an interpreter that is isolated."""

    def asked(*options: str) -> dict[str, list[str]]:
        done = hookmon(["doctor", "--json", str(python), *options, "app.py"], cwd=project)
        return {check["what"]: [check["answer"], check["detail"]] for check in json.loads(done.stdout)["checks"]}

    python = new_virtualenv(tmp_path / "venv")
    enabling = f"hookmon enable --venv {tmp_path / 'venv'}"
    assert asked()["door"] == ["note", f"there is none; {enabling} writes one"]
    assert asked("-I")["probe"] == ["no", f"the interpreter is started with -I (isolated); {enabling} mends that"]
    hookmon(["enable", "--venv", "venv"], cwd=project)
    line = site_packages(python) / "hookmon-door.pth"
    for options in ([], ["-I"]):
        found = asked(*options)
        assert (found["door"], found["probe"][0]) == (["yes", f"{line}: HOOKMON=1 watches it without hookmon run"], "yes")
    line.write_text(line.read_text().replace(sys.executable, "/another/python"))
    assert asked()["door"] == ["note", f"{line} is of another hookmon, or an older one; {enabling} renews it"]
    line.write_text("import os\n")
    assert asked()["door"] == ["note", f"{line} is not of hookmon's making, and stays as it is"]


def test_it_is_executed_by_the_environment_of_hookmon_itself(tmp_path: Path) -> None:
    """`hookmon enable` without --venv means the environment that hookmon is in."""
    here = door.find_environment(None)
    assert (here.python, here.prefix) == (PYTHON, sys.prefix)
    assert here.site_packages.is_dir()
