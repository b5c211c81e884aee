"""Compiled engines in the user's cache: who takes them, what is refused, and what a report says where there is none.

The engine that lies there in most of these tests is the one that this tree has installed, in another tree that has none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.interpreters import need, need_with
from support.runs import PYTHON, Report, environment, write

from hookmon.collector import engine_build, engines
from hookmon.collector.store import Store
from hookmon.core.errors import EngineError
from hookmon.core.layout import NEWEST_MINOR
from hookmon.probe import engine

ROOT = Path(__file__).resolve().parents[2]
SUFFIX = sys.modules["_imp"].extension_suffixes()[0]
INSTALLED = engines.PROBE / f"{engines.STEM}{SUFFIX}"
FILES = {"shop.py": "def quote(x):\n    return x + 1\n", "app.py": "import shop\nfor n in range(60):\n    shop.quote(n)\n"}
COMMAND = f"hookmon engine build --python {PYTHON}"

compiled_only = pytest.mark.skipif(not INSTALLED.exists(), reason="the compiled engine was not built in this tree")
builds = pytest.mark.skipif("HOOKMON_BOTH" not in os.environ, reason="compiles; .ci/interpreters asks for it (HOOKMON_BOTH)")


class Hookmon:
    """A hookmon that was installed without a compiled engine, and a project."""

    def __init__(self, tree: Path, project: Path) -> None:
        self.tree, self.project = tree, project
        self.home = project / "cache" if tree == ROOT else tree / "cache"  # what a call costs is measured once for all tests
        self.cache = self.home / "hookmon" / "engines"
        shutil.rmtree(self.cache, ignore_errors=True)

    def __call__(self, *words: str, ok: bool = True, **env: str) -> str:
        """Run a verb and return what it prints to both streams."""
        path = f"{self.tree / 'agent'}:{self.tree / 'bootstrap'}"
        changes: dict[str, str | None] = {
            "PYTHONPATH": path,
            "XDG_CACHE_HOME": str(self.home),
            "COLUMNS": "500",
            **env,
        }
        line = [PYTHON, "-m", "hookmon", *words]
        output = self.project / "output"
        with output.open("wb") as file:
            done = subprocess.run(line, cwd=self.project, env=environment(self.project, changes), stdout=file, stderr=file)
        assert not ok or done.returncode == 0, output.read_text()
        return output.read_text()

    def run(self, python: str = PYTHON, app: str = "app.py") -> tuple[Report, str]:
        """Run the program and return the report as JSON and as text."""
        self("run", "--quiet", "--no-pack", "*", "--watch", "shop:quote", python, app)
        return json.loads(self("report", "--json")), self("report")

    def cached(self) -> Path:
        """Put the installed engine into the cache, as if it had been built for this tree; return its path."""
        code = "from hookmon.collector import engines; print(engines.current_folder())"
        env = environment(self.project, {"PYTHONPATH": str(self.tree / "agent"), "XDG_CACHE_HOME": str(self.home)})
        done = subprocess.run([PYTHON, "-c", code], env=env, capture_output=True, text=True, check=True)
        folder = Path(done.stdout.strip())
        assert folder.parent == self.cache
        folder.parent.mkdir(mode=0o700, parents=True)
        folder.mkdir(mode=0o700)
        path = folder / INSTALLED.name
        shutil.copy(INSTALLED, path)
        path.chmod(0o700)
        engines.write_note(path, sys.version.split()[0], PYTHON)
        return path


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tree of which no compiled engine is a part."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("agent", "bootstrap"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.so"))
    return folder


@pytest.fixture
def hookmon(tree: Path, tmp_path: Path) -> Hookmon:
    """That tree's hookmon in a project of its own."""
    return Hookmon(tree, write(tmp_path, FILES))


def spots(report: Report) -> list[tuple[str, str]]:
    return [(spot["kind"], spot["detail"]) for spot in report["blind_spots"]]


def calls(report: Report) -> int:
    return sum(row["calls"] for row in report["calls"] if row["name"] == "quote")


def test_without_a_compiled_engine_the_first_lines_have_the_command_that_builds_it(hookmon: Hookmon):
    """So has doctor; and the counts are the same."""
    report, text = hookmon.run()
    assert calls(report) == 60
    assert report["run"]["engine"] == "pure"
    detail = f"the pure engine counted in {PYTHON}: {engine.MISSING}; {COMMAND}"
    assert spots(report) == [("no engine", detail)]
    head = text.partition("\n\n")[0].splitlines()
    assert "It ran on the pure engine, where a call costs ten times as much. To build the compiled one:" in head
    assert f"  {COMMAND}" in head
    assert f"pure: {engine.MISSING}; a call costs 1 µs, not 0.1; {COMMAND} builds it" in hookmon("doctor", PYTHON, "app.py")
    assert f"`{COMMAND}`" in hookmon("report", "--format", "markdown")
    assert hookmon("engine") == "there is no compiled engine; hookmon engine build --python PATH builds one\n"


def test_nothing_is_said_where_the_pure_engine_was_chosen(hookmon: Hookmon):
    """Who sets HOOKMON_ENGINE knows it."""
    hookmon("run", "--quiet", "--no-pack", "*", "--watch", "shop:quote", PYTHON, "app.py", HOOKMON_ENGINE="pure")
    assert spots(json.loads(hookmon("report", "--json"))) == []
    assert "engine build" not in hookmon("report")


@compiled_only
def test_an_engine_in_the_cache_serves_every_program_of_its_interpreter(hookmon: Hookmon):
    """Also in another environment, for a child and for --version; nothing is left to say about engines."""
    path = hookmon.cached()
    write(
        hookmon.project,
        {"parent.py": "import subprocess, sys\nsubprocess.run([sys.executable, 'app.py'], check=True)\nimport app\n"},
    )
    report, text = hookmon.run(app="parent.py")
    assert calls(report) == 120
    assert {row["engine"] for row in report["processes"]} == {"compiled"}
    assert spots(report) == []
    assert not Path(Store.of_project(hookmon.project).run_file(1).head().run_folder).exists()
    assert "pure" not in text
    assert hookmon("--version", "-v").splitlines()[-1] == "engine compiled"
    assert "compiled; it reads" in hookmon("doctor", PYTHON, "app.py")
    (row,) = json.loads(hookmon("engine", "--json"))
    assert (row["path"], row["suffix"], row["origin"], row["problem"]) == (str(path), SUFFIX, "built", "")
    assert json.loads(hookmon("engine", "remove", "--json"))[0]["path"] == str(path)
    assert list(hookmon.cache.iterdir()) == []


@compiled_only
def test_nothing_of_the_cache_becomes_importable(hookmon: Hookmon):
    """The program sees the module by its name alone: no folder of the cache is searched for anything."""
    hookmon.cached()
    code = "import sys, app\nassert not [entry for entry in (*sys.path, *sys.path_importer_cache) if 'cache/hookmon' in entry]\n"
    code += "engine = sys.modules['hookmon.probe._engine']\nassert 'cache/hookmon' in engine.__file__\nprint('seen')\n"
    write(hookmon.project, {"look.py": code})
    assert "seen" in hookmon("run", "--no-pack", "*", "--watch", "shop:quote", "--quiet", PYTHON, "look.py")


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(path: Path) -> None:
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)


def move(path: Path) -> None:
    path.parent.rename(path.parent.with_name("0.0.1-00000000-1"))


def forget(path: Path) -> None:
    Path(f"{path}.built").unlink()


def spoil_note(path: Path) -> None:
    Path(f"{path}.built").write_bytes(os.urandom(300))


def open_file(path: Path) -> None:
    path.chmod(0o777)


def open_folder(path: Path) -> None:
    path.parent.chmod(0o777)


def open_all(path: Path) -> None:
    path.parent.parent.chmod(0o777)


def give_away(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root gives files away")
    os.chown(path, 4711, 4711)


def build_otherwise(path: Path) -> None:
    path.write_bytes(b"no library at all")
    engines.write_note(path, "3.11.0", PYTHON)


REFUSED: list[tuple[Callable[[Path], None], str]] = [
    (cut_off, "it is damaged: it is not what was built"),
    (change, "it is damaged: it is not what was built"),
    (link, "it is no file"),
    (move, "it was built from the sources of another hookmon"),
    (forget, "it is damaged: the note beside it is missing, or is none"),
    (spoil_note, "it is damaged: the note beside it is missing, or is none"),
    (open_file, "others may write to it"),
    (open_folder, "others may write to its folder"),
    (open_all, "others may write to its folder"),
    (give_away, "it belongs to another user"),
]


@pytest.fixture
def in_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that lies in the cache like an engine that was built, with the note beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = engines.current_folder() / f"{engines.STEM}{SUFFIX}"
    path.parent.parent.mkdir(mode=0o700, parents=True)
    path.parent.mkdir(mode=0o700)
    path.write_bytes(os.urandom(5_000))
    path.chmod(0o700)
    engines.write_note(path, "3.11.0", PYTHON)
    assert engines.for_probe() == {SUFFIX: (str(path), 5_000, "")}
    return path


@pytest.mark.parametrize(("spoil", "reason"), REFUSED, ids=[spoil.__name__ for spoil, _ in REFUSED])
def test_an_engine_that_cannot_be_trusted_is_refused_with_the_reason(in_cache: Path, spoil: Callable[[Path], None], reason: str):
    """The probe is told of no path that it could load without being told why it may not."""
    spoil(in_cache)
    (told,) = [told for ending, told in engines.for_probe().items() if ending == SUFFIX]
    assert reason in told[2]
    (engine,) = [engine for engine in engines.built() if engine.suffix == SUFFIX]
    engines.remove(engine)
    assert SUFFIX not in engines.for_probe()


@compiled_only
@pytest.mark.parametrize(
    ("spoil", "reason"), [(change, "it is damaged: it is not what was built"), (build_otherwise, "file too short")]
)
def test_a_refused_engine_leaves_the_pure_one_and_a_line_in_the_report(
    hookmon: Hookmon, spoil: Callable[[Path], None], reason: str
):
    """Whether the launcher refuses it or the system cannot load it: the counts are exact, and the report says what to do."""
    spoil(hookmon.cached())
    report, text = hookmon.run()
    assert (calls(report), report["run"]["exit_code"]) == (60, 0)
    ((kind, detail),) = spots(report)
    assert kind == "stale engine"
    assert reason in detail
    assert detail.endswith(f"; {COMMAND}")
    assert f"  {COMMAND}" in text.splitlines()


@compiled_only
def test_each_run_looks_anew_whatever_an_earlier_one_has_prepared(hookmon: Hookmon):
    """One that is built, changed or removed between two runs of the same command."""
    engines_of_runs = [hookmon.run()[0]["run"]["engine"], hookmon.run()[0]["run"]["engine"]]
    path = hookmon.cached()
    engines_of_runs.append(hookmon.run()[0]["run"]["engine"])
    change(path)
    report = hookmon.run()[0]
    assert [*engines_of_runs, report["run"]["engine"]] == ["pure", "pure", "compiled", "pure"]
    assert [kind for kind, _ in spots(report)] == ["stale engine"]
    hookmon("engine", "remove")
    assert [kind for kind, _ in spots(hookmon.run()[0])] == ["no engine"]


@compiled_only
def test_an_engine_that_is_cut_off_while_a_run_lasts_does_not_end_the_program(hookmon: Hookmon):
    """Its pages would be past the end of the file. The probe looks at the size again."""
    path = hookmon.cached()
    write(hookmon.project, {"late.py": f"import os\nos.truncate({str(path)!r}, 5000)\nimport app\n"})
    report, _ = hookmon.run(app="late.py")
    assert calls(report) == 60
    assert "was changed since the run began" in spots(report)[0][1]


@pytest.mark.parametrize("version", ["3.13", "3.15"])
def test_an_interpreter_that_is_too_new_gets_the_pure_engine_and_a_clear_word(tree: Path, tmp_path: Path, version: str):
    """As far as a version can be feigned: the program says that it is the next one before its first watched import."""
    python = need(version) if version == "3.13" else need_with(version)
    newer = f"import sys\nsys.version_info = (3, {NEWEST_MINOR + 1}, 0, 'alpha', 2)\nimport app\n"
    write(tmp_path, {**FILES, "newer.py": newer})
    report, text = Hookmon(tree, tmp_path).run(python, "newer.py")
    assert calls(report) == 60
    assert report["run"]["engine"] == "pure"
    told = f"the pure engine counted in {python}: CPython 3.{NEWEST_MINOR + 1} is newer than those that this hookmon knows"
    assert spots(report) == [("unknown python", f"{told}, up to 3.{NEWEST_MINOR}")]
    assert "newer than those that this hookmon knows" in text.partition("\n\n")[0]
    assert "engine build" not in text


def feigned(tmp_path: Path, **changes: object) -> engine_build.Interpreter:
    """Return this interpreter, of which something is said otherwise."""
    return engine_build.Interpreter(**{**vars(engine_build.ask(PYTHON)), **changes})  # type: ignore[arg-type]


@pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="there is no C compiler")
def test_headers_of_a_newer_interpreter_are_refused_by_the_sources_themselves(tmp_path: Path):
    """Whoever compiles them: pip, which then installs the pure engine, or hookmon engine build."""
    include = next(Path(folder) for folder in engine_build.ask(PYTHON).includes if Path(folder, "patchlevel.h").exists())
    shutil.copytree(include, tmp_path / "include")
    path = tmp_path / "include" / "patchlevel.h"
    minor = f"#define PY_MINOR_VERSION        {sys.version_info[1]}"
    text = path.read_text()
    assert minor in text
    path.write_text(text.replace(minor, f"#define PY_MINOR_VERSION        {NEWEST_MINOR + 1}"))
    with pytest.raises(EngineError, match="newer than those that hookmon knows"):
        engine_build.compile_to(
            tmp_path / "engine.so", feigned(tmp_path, includes=[str(tmp_path / "include")]), ("-fsyntax-only", "-Wfatal-errors")
        )


def test_what_is_missing_is_named_with_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The interpreter's headers, and a compiler."""
    (tmp_path / "none").mkdir()
    with pytest.raises(EngineError, match=r"there is no Python\.h of CPython .*python3.*brings it"):
        engine_build.compile_to(tmp_path / "engine.so", feigned(tmp_path, includes=[str(tmp_path / "none")]))
    (tmp_path / "none" / "Python.h").touch()
    here = feigned(tmp_path, includes=[str(tmp_path / "none")])
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(EngineError, match="CC is no-such-compiler, and there is no such compiler"):
        engine_build.compile_to(tmp_path / "engine.so", here)
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"there is no C compiler; .*gcc.* brings one"):
        engine_build.compile_to(tmp_path / "engine.so", here)


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("cpython", [3, NEWEST_MINOR + 1], "knows those up to 3.15; the pure engine serves there"),
        ("cpython", [3, 10], "the probe needs CPython 3.11 or newer"),
        ("pypy", [3, 11], "the probe needs CPython 3.11 or newer"),
    ],
    ids=["too new", "too old", "another implementation"],
)
def test_an_interpreter_for_which_there_can_be_none_is_refused(tmp_path: Path, name: str, version: list[int], reason: str):
    """What an interpreter says of itself decides; nothing is compiled."""
    answer = {"name": name, "version": version, "full": ".".join(map(str, version)) + ".0"}
    path = write(tmp_path, {"python": f"#!{PYTHON}\nprint('hookmon says: ' + {json.dumps(answer)!r})\n"}) / "python"
    path.chmod(0o755)
    with pytest.raises(EngineError, match=reason):
        engine_build.ask(str(path))


@pytest.mark.parametrize("named", ["no-such-python", "/", "/bin/true"], ids=["unknown", "no environment", "no Python"])
def test_what_is_no_interpreter_is_told(named: str):
    """In one line."""
    with pytest.raises(EngineError, match=named):
        engine_build.ask(engine_build.find(named))


@builds
@pytest.mark.parametrize("version", ["this", "3.11", "3.12", "3.13", "3.14", "3.15"])
def test_an_engine_is_built_for_an_interpreter(hookmon: Hookmon, version: str):
    """Programs run on it from then on, a second build takes the place of the first, and damage is mended by it."""
    python = PYTHON if version == "this" else need_with(version) if version in ("3.14", "3.15") else need(version)
    assert "built for CPython" in hookmon("engine", "build", "--python", python)
    report, _ = hookmon.run(python)
    assert (calls(report), report["run"]["engine"], spots(report)) == (60, "compiled", [])
    (path,) = hookmon.cache.glob("*/*.so")
    cut_off(path)
    hookmon("engine", "build", "--python", python)
    assert [row["problem"] for row in json.loads(hookmon("engine", "--json"))] == [""]
    assert hookmon.run(python)[0]["run"]["engine"] == "compiled"


@compiled_only
def test_nothing_is_built_where_the_installed_engine_serves(tmp_path: Path):
    """It would never be used."""
    hookmon = Hookmon(ROOT, write(tmp_path, FILES))
    assert "there is nothing to build" in hookmon("engine", "build", "--python", PYTHON)
    assert not hookmon.cache.exists()
