"""The pack test kit: what it starts, what it gives back, and that it finds what leaks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hookmon.core.errors import HookmonError
from hookmon.testing import Recorded, run

LIBRARY = """
class Till:
    def __init__(self, name):
        self.name = name

    def sell(self, article, price):
        if price < 0:
            raise ValueError(price)
        return price

def connect(url):
    return Till(url)
"""
PACK = """
[pack]
library = "till"
description = "sales"

[[watch]]
module = "till"
calls = ["Till.sell"]
span = "sell {SPAN}"
kind = "queue"
"""
PROGRAM = """
import till
shop = till.connect("https://user:p4ssw0rd@shop.test/")
shop.sell("green tea", 3)
shop.sell("green tea", 4)
try:
    shop.sell("green tea", -1)
except ValueError:
    print("refused")
"""


def record(folder: Path, span: str = "", **options) -> Recorded:
    """Run the program with a pack that nobody has installed."""
    pack = folder / "till.toml"
    pack.write_text(PACK.replace("{SPAN}", span))
    return run(PROGRAM, packs=[pack], files={"till.py": LIBRARY}, **options)


def test_counts_come_by_name_and_by_kind(tmp_path: Path):
    """Calls, errors, kinds, targets and the state of what was asked for."""
    result = record(tmp_path, "goods")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "refused\n", "")
    assert result.calls() == result.calls("queue") == {"sell goods": 3}
    assert result.calls("sql") == {}
    assert result.errors() == {"sell goods": 1}
    assert result.kinds == {"queue": 3}
    assert result.targets() == {"till:Till.sell": 3}
    assert result.watched == {"till:Till.sell": "active"}
    assert result.blind_spots == []
    assert result.report["run"]["exit_code"] == 0


def test_what_is_called_in_a_transaction_is_told_apart(tmp_path: Path):
    """By the transaction's name; what is outside belongs to the rest of the program."""
    entry = '\n[[watch]]\nmodule = "till"\ncalls = ["serve"]\nspan = "served"\nkind = "request"\nentry = true\n'
    (tmp_path / "till.toml").write_text(PACK.replace("{SPAN}", "goods") + entry)
    library = LIBRARY + "\ndef serve(till):\n    for n in range(6):\n        till.sell('tea', n)\n"
    program = "import till\nshop = till.connect('')\nshop.sell('tea', 1)\ntill.serve(shop)\ntill.serve(shop)\n"
    result = run(program, packs=[tmp_path / "till.toml"], files={"till.py": library})
    assert result.transactions == {"served": 2}
    assert result.calls_in("served") == {"sell goods": 12}
    assert result.calls_in("(main)") == {"sell goods": 1}
    assert any("sell goods" in title for title in result.findings)


def test_a_pack_that_keeps_values_to_itself_leaks_nothing(tmp_path: Path):
    """Neither an argument, nor an attribute, nor an exception."""
    result = record(tmp_path, "goods")
    assert result.leaks("green tea") == []
    assert result.leaks("p4ssw0rd") == []


def test_a_pack_that_names_a_value_is_found_out(tmp_path: Path):
    """In the shard, in the run file and in every report, whatever its spelling."""
    found = record(tmp_path, "{article|upper}").leaks("green tea")
    places = [place.partition(":")[0] for place in found]
    assert places[0].startswith("shard ")
    assert places[1] == "run file"
    assert {"report as csv", "report as pstats", "report as json", "report as text", "report as markdown"} <= set(places)
    assert all("GREEN TEA" in place.upper() for place in found)


def test_part_of_a_long_secret_is_found(tmp_path: Path):
    """A name is cut off; what stands before is no less secret."""
    long = "0123456789abcdef" * 20
    program = f"import till\ntill.connect('').sell({long!r}, 1)\n"
    (tmp_path / "till.toml").write_text(PACK.replace("{SPAN}", "{article}"))
    result = run(program, packs=[tmp_path / "till.toml"], files={"till.py": LIBRARY})
    assert long not in str(result.report)
    assert result.leaks(long)


def test_the_shards_of_all_processes_are_searched():
    """Also of those that ended long before the program did, and of those that still run."""
    program = """
    import sqlite3, subprocess, sys, time
    child = "import sqlite3; sqlite3.connect(':memory:').execute('SELECT 1 AS of_a_child')"
    subprocess.run([sys.executable, "-c", child])
    sqlite3.connect(":memory:").execute("SELECT 2 AS of_the_parent")
    time.sleep(1.2)
    """
    result = run(program, packs=["sqlite3"])
    assert sum(place.startswith("shard ") for place in result.leaks("of_a_child")) == 1
    assert sum(place.startswith("shard ") for place in result.leaks("of_the_parent")) == 1


def test_where_nothing_was_recorded_nothing_is_claimed():
    """No shard, no verdict."""
    with pytest.raises(ValueError, match="no shard"):
        run("print(1)", packs=["sqlite3"]).leaks("x")
    with pytest.raises(ValueError, match="empty"):
        run("import sqlite3", packs=["sqlite3"]).leaks("")


def test_arguments_environment_and_configuration_reach_the_program(tmp_path: Path):
    """As they were given."""
    config = '[[watch]]\nmodule = "till"\ncalls = ["connect"]\n'
    program = "import os, sys, till\ntill.connect('')\nprint(sys.argv[1:], os.environ['SHOP'], 'HOME' in os.environ)"
    result = run(program, packs=[], config=config, args=["a", "b c"], env={"SHOP": "x", "HOME": None}, files={"till.py": LIBRARY})
    assert result.stdout == "['a', 'b c'] x False\n"
    assert result.watched == {"till:connect": "active"}


def test_another_command_can_be_started():
    """A server, a test runner: whatever starts Python."""
    result = run("print('mine')", packs=["sqlite3"], command=["sh", "-c", "cat app.py; exit 3"])
    assert (result.exit_code, result.stdout) == (3, "print('mine')")


def test_an_adapter_beside_the_pack_serves(tmp_path: Path):
    """A pack that nobody has installed may bring its own."""
    (tmp_path / "till.toml").write_text(PACK.replace("{SPAN}", "goods") + 'adapter = "slip"\n')
    (tmp_path / "slip.py").write_text(
        "def patch(module, call, timed, patches):\n    patches.replace(module.Till, 'sell', timed(module.Till.sell, call))\n"
    )
    result = run(PROGRAM, packs=[tmp_path / "till.toml"], files={"till.py": LIBRARY})
    assert result.calls() == {"sell goods": 3}
    assert not list(tmp_path.rglob("*.pyc"))


def test_an_adapter_that_fails_leaves_the_program_alone(tmp_path: Path):
    """The report says what went wrong."""
    (tmp_path / "till.toml").write_text(PACK.replace("{SPAN}", "goods") + 'adapter = "slip"\n')
    (tmp_path / "slip.py").write_text("def patch(module, call, timed, patches):\n    module.nothing\n")
    result = run(PROGRAM, packs=[tmp_path / "till.toml"], files={"till.py": LIBRARY})
    assert (result.exit_code, result.stdout) == (0, "refused\n")
    assert "AttributeError" in result.watched["till:Till.sell"]


MISTAKES = {
    "no such pack": (["nothing"], 'there is no pack "nothing"'),
    "no such file": (["nowhere/till.toml"], "cannot be read"),
    "no adapter": (["bad.toml"], 'adapter "slip" is not there; allowed: a file slip.py beside the pack'),
}


@pytest.mark.parametrize(("packs", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_pack_is_told(packs: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Before anything is started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text(PACK + 'adapter = "slip"\n')
    with pytest.raises(HookmonError) as caught:
        run("print(1)", packs=packs)
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_program_that_hangs_is_ended():
    """After the time that was given."""
    with pytest.raises(subprocess.TimeoutExpired):
        run("import time\ntime.sleep(60)", packs=[], timeout_s=1)


def test_nothing_stays_behind():
    """The files of a run go with it."""
    result = run("print(1)", packs=[])
    folder = result.folder
    assert folder.is_dir()
    del result
    assert not folder.exists()
