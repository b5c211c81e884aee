"""The one wheel for all interpreters, installed as a tool: programs of each version, in environments of their own.

`.ci/wheel` builds it and says here where it is (HOOKMON_WHEEL), what to install it into (HOOKMON_WHEEL_TOOL) and which
interpreters to try (HOOKMON_WHEEL_PYTHONS).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.interpreters import site_packages
from support.runs import Report, environment, write

WHEEL = os.environ.get("HOOKMON_WHEEL", "")
TOOL = os.environ.get("HOOKMON_WHEEL_TOOL", sys.executable)
PYTHONS = [path for path in os.environ.get("HOOKMON_WHEEL_PYTHONS", "").split(os.pathsep) if path]

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(not WHEEL, reason="there is no wheel for all interpreters; .ci/wheel builds one and asks for this"),
]

MODULE = """
    import json

    def quote(x):
        return x + 1

    async def later(x):
        return quote(x)

    def walk(n):
        yield from range(n)

    class Basket:
        def total(self):
            return 7

    class Callable:
        def __call__(self, x):
            return x

    price = Callable()
    lower = str.lower
"""
PROGRAM = """
    import asyncio, sqlite3, sys, threading
    import shop

    def work():
        for n in range(500):
            shop.quote(n)
        shop.Basket().total()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    async def all_of_them():
        await asyncio.gather(*(shop.later(n) for n in range(30)))
    asyncio.run(all_of_them())
    assert list(shop.walk(9)) == list(range(9))
    assert [shop.price(n) for n in range(11)] == list(range(11))
    assert type(shop.price).__name__ and isinstance(shop.price, shop.Callable)
    connection = sqlite3.connect(":memory:")
    for n in range(7):
        connection.execute("SELECT ?", (n,))

    import importlib.util
    foreign = ["click", "psutil", "rich", "tomlkit", "wrapt", "textual", "hookmon_bootstrap", "hookmon_door"]
    assert [name for name in foreign if name in sys.modules or importlib.util.find_spec(name)] == []
    tool = sys.argv[1]
    assert [entry for entry in sys.path if entry.startswith(tool)] == []
    assert sorted({name.partition(".")[0] for name, module in list(sys.modules.items())
                   if (getattr(module, "__file__", None) or "").startswith(tool)}) == ["hookmon"]
    for name in ("hookmon.cli", "hookmon.collector.launch", "hookmon.report"):
        assert name not in sys.modules
    print("the program's own")
"""
CONFIG = '[[watch]]\nmodule = "shop"\ncalls = ["quote", "later", "walk", "Basket.total", "price"]\n'
EXPECTED = {"quote": 2_030, "later": 30, "walk": 1, "Basket.total": 4, "price": 11, "SELECT ?": 7}


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `hookmon` of an environment that holds nothing else, as pipx and `uv tool` make one."""
    folder = tmp_path_factory.mktemp("tools") / "hookmon"
    subprocess.run([TOOL, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", WHEEL]
    subprocess.run(pip, check=True)
    return folder / "bin" / "hookmon"


def program_environment(python: str, folder: Path) -> Path:
    """Make an environment without anything installed, and return its interpreter."""
    done = subprocess.run([python, "-m", "venv", "--without-pip", folder], capture_output=True, check=False)
    if done.returncode:  # Debian has venv in a package of its own
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["virtualenv", "--quiet", "--no-pip", "--python", python, folder], check=True)
    return folder / "bin" / "python"


def run(tool: Path, python: Path, project: Path, **env: str) -> Report:
    """Run the program under the tool and return the report."""
    write(project, {"shop.py": MODULE, "app.py": PROGRAM, "hookmon.toml": CONFIG})
    line = [tool, "run", "--format", "json", "--output", "report.json", "--", python, "app.py", str(tool.parents[1])]
    done = subprocess.run(line, cwd=project, env=environment(project, env), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the program's own\n", "")
    report: Report = json.loads((project / "report.json").read_text())
    return report


def counts(report: Report) -> dict[str, int]:
    found = {row["name"]: row["calls"] for row in report["calls"]}
    return {name: found.get(name, 0) for name in EXPECTED}


def test_it_is_for_all_interpreters_and_has_their_engines():
    """With the C sources, and nothing that was built along the way."""
    names = zipfile.ZipFile(WHEEL).namelist()
    assert re.search("-py3-none-(many|musl)linux_", WHEEL)
    suffixes = [
        subprocess.run(
            [python, "-c", "import _imp; print(_imp.extension_suffixes()[0])"], capture_output=True, text=True
        ).stdout.strip()
        for python in PYTHONS
    ]
    assert sorted(name for name in names if name.endswith(".so")) == sorted(
        f"hookmon/probe/_engine{suffix}" for suffix in suffixes
    )
    assert "hookmon/probe/_engine.c" in names
    assert "hookmon/probe/c/base.h" in names
    assert not [name for name in names if name.startswith("hookmon.libs")]


@pytest.mark.parametrize("python", PYTHONS)
def test_a_program_in_a_foreign_environment_runs_on_the_engine_of_its_interpreter(tool: Path, python: str, tmp_path: Path):
    """The counts are exact, and nothing of the tool's environment can be imported there. It has no wrapt: the tool's serves, in
    Python where its C part is of another version."""
    own = program_environment(python, tmp_path / "own environment")
    report = run(tool, own, tmp_path)
    assert counts(report) == EXPECTED
    assert [row["engine"] for row in report["processes"]] == ["compiled"]
    assert report["blind_spots"] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_the_pure_engine_counts_the_same_there(tool: Path, python: str, tmp_path: Path):
    """All of its wrappers are wrapt's proxies."""
    own = program_environment(python, tmp_path / "own environment")
    report = run(tool, own, tmp_path, HOOKMON_ENGINE="pure")
    assert counts(report) == EXPECTED
    assert [row["engine"] for row in report["processes"]] == ["pure"]


@pytest.mark.parametrize("python", PYTHONS)
def test_a_program_with_a_wrapt_of_its_own_keeps_it(tool: Path, python: str, tmp_path: Path):
    """Whatever version and kind that is; here one in Python of an old release."""
    own = program_environment(python, tmp_path / "own environment")
    pip = [tool.parent / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    in_python = ["--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"]
    subprocess.run([*pip, *in_python, "--target", site_packages(own), "wrapt==1.17.3"], check=True)
    look = "import shop\nassert [shop.price(n) for n in range(5)] == [0, 1, 2, 3, 4]\n"
    look += "import wrapt\nprint(wrapt.__version__, wrapt.__file__)\n"
    write(tmp_path, {"look.py": look})
    write(tmp_path, {"shop.py": MODULE, "hookmon.toml": CONFIG})
    line = [tool, "run", "--format", "json", "--output", "report.json", "--", own, "look.py"]
    done = subprocess.run(line, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert done.stdout == f"1.17.3 {site_packages(own) / 'wrapt' / '__init__.py'}\n", done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert {row["name"]: row["calls"] for row in report["calls"]}["price"] == 5
