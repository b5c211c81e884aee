"""The packs are checked once and read from a table, which is what their files say or is not used."""

from __future__ import annotations

import marshal
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.runs import environment

from hookmon.config import pack_table
from hookmon.config.packs import Pack, read_packs
from hookmon.config.problem import Problem
from hookmon.core.record import fields

PACK = '[pack]\ndescription = "one"\n\n[[watch]]\nmodule = "one"\ncalls = ["go", "come"]\nkind = "http"\n'
HOOK = '[[hook]]\nmodule = "one.hooks"\ncalls = ["register"]\ncallable = "function"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two packs, one of which has a hook."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one.toml").write_text(PACK + HOOK)
    (folder / "two.toml").write_text(PACK.replace("one", "two"))
    return folder


def all_of(found: list[Pack] | None) -> list[object]:
    """Return what packs are, with the line of each target."""
    assert found is not None
    contents = [pack.content for pack in found]
    lines = [[(target, str(place)) for target, place in (*content.placed, *content.placed_hooks)] for content in contents]
    heads = [{name: getattr(pack, name) for name in fields(Pack) if name != "content"} for pack in found]
    return [heads, [content.watches for content in contents], lines, [content.folder for content in contents]]


def test_a_table_has_all_of_the_packs_that_are_shipped():
    """Their watches, in their order, and where each target stands."""
    problems: list[Problem] = []
    checked = read_packs(problems)
    assert not problems
    assert all_of(pack_table.decode(pack_table.encode(checked))) == all_of(checked)


def test_a_table_is_of_the_files_that_are_there(folder: Path):
    """One more, one less, and one of another size make it none."""
    content = pack_table.encode(read_packs([], folder), folder)
    assert all_of(pack_table.decode(content, folder)) == all_of(read_packs([], folder))
    (folder / "two.toml").rename(folder / "three.toml")
    assert pack_table.decode(content, folder) is None
    (folder / "three.toml").rename(folder / "two.toml")
    assert pack_table.decode(content, folder) is not None
    (folder / "two.toml").write_text(PACK + "#")
    assert pack_table.decode(content, folder) is None


@pytest.mark.parametrize("damage", ["empty", "cut", "no table", "another version"])
def test_what_is_no_table_is_not_used(folder: Path, damage: str):
    """It is no error: the files are read."""
    content = pack_table.encode(read_packs([], folder), folder)
    other = marshal.dumps({**marshal.loads(content), "made_by": (0,)})
    damaged = {"empty": b"", "cut": content[:-9], "no table": marshal.dumps([1]), "another version": other}[damage]
    assert pack_table.decode(damaged, folder) is None


def test_a_pack_with_a_mistake_is_found_when_hookmon_is_built(folder: Path):
    """And no table is made."""
    (folder / "two.toml").write_text(PACK.replace("calls", "cals"))
    with pytest.raises(ValueError, match=r"packs/two\.toml"):
        pack_table.write(folder)
    assert not (folder / pack_table.TABLE_NAME).exists()


READ = """
import sys
sys.path.remove("")  # the project, in which a store is made; it is not there for the command
from pathlib import Path
from hookmon.config import document, packs
def count(path, label, problems, read=packs.read_document):
    read_paths.append(Path(path).name)
    return read(path, label, problems)
read_paths = []
packs.read_document = count
from hookmon.cli import main
sys.argv[1:] = ["run", "--quiet", "--no-config", sys.executable, "-c", "pass"]
import os
os._exit = lambda code: (print(len(read_paths), sys.argv[0]), sys.stdout.flush(), leave(code))
leave = sys.modules["posix"]._exit
main.main()
"""


@pytest.mark.process
def test_a_clone_has_its_packs_read_once_until_one_changes(tmp_path: Path):
    """By the first run in any folder; a change of a pack, and of the code that checks packs, is seen by the next."""
    clone = tmp_path / "clone"
    for part in ("agent", "bootstrap"):
        shutil.copytree(Path(__file__).parents[2] / part, clone / part, ignore=shutil.ignore_patterns("__pycache__"))
    count = len(list((clone / "agent" / "hookmon" / "packs").glob("*.toml")))

    def read(number: int) -> int:
        project = tmp_path / f"project{number}"
        project.mkdir()
        time.sleep(0.3)  # else a change may not be seen, and nothing is kept
        env = environment(tmp_path, {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"})
        env["PYTHONPATH"] = f"{clone / 'agent'}:{clone / 'bootstrap'}"
        command = [sys.executable, "-c", READ]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[0])

    assert [read(1), read(2)] == [count, 0]
    (changed,) = (clone / "agent" / "hookmon" / "packs").glob("redis.toml")
    changed.write_text(changed.read_text().replace("redis", "Redis", 1))
    assert read(3) == count
