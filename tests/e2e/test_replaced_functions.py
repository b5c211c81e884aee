"""Tests replace clocks, `open` and whole file systems: hookmon goes by the real ones, and nobody finds its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runs import PYTHON, bare_run, calls, hookmon_run, row, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

CONFIG = (
    '[packs]\ndisable = ["*"]\n' + watch("lib", "quote", "nap") + watch("jobs", "Job.start", until=["Job.finish"], span="job")
)
CONFIG += watch("settings", "read") + watch("late", "quote")
LIBRARY = {
    "lib.py": "import time\nsleep = time.sleep\ndef quote(n): return n\ndef nap(s): sleep(s)\n",
    "late.py": "def quote(n): return n\n",
    "settings.py": "def read():\n    with open('settings.ini') as file:\n        return file.read()\n",
    "jobs.py": "import time\nsleep = time.sleep\nclass Job:\n    def start(self): sleep(0.02)\n    def finish(self): pass\n",
}


def run(folder: Path, program: str, config: str = CONFIG):
    """Run a program under hookmon; a bare run prints and ends the same."""
    write(folder, LIBRARY | {"app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=folder)
    assert bare.exit_code == 0, bare.stderr
    under = hookmon_run([PYTHON, "app.py"], cwd=folder, config=config)
    assert under.seen == bare.seen
    return under


def test_a_clock_that_ticks_at_each_look_does_not_tick_for_us(tmp_path: Path):
    """freezegun's auto_tick: what the program measures stays."""
    pytest.importorskip("freezegun")
    under = run(
        tmp_path,
        """
        from datetime import datetime
        from freezegun import freeze_time
        import lib
        lib.quote(0)
        with freeze_time("2020-01-01", auto_tick_seconds=15):
            begun = datetime.now()
            for number in range(10): lib.quote(number)
            print(datetime.now() - begun)
        """,
    )
    found = row(under.report, "lib:quote")
    assert found["calls"] == 11
    assert found["total_ns"] < 1e9


def test_what_begins_in_one_time_and_ends_in_another_lasts_as_long_as_it_does(tmp_path: Path):
    """Into a frozen time and out of one."""
    pytest.importorskip("freezegun")
    under = run(
        tmp_path,
        """
        from freezegun import freeze_time
        import lib, jobs
        job = jobs.Job()
        job.start()
        with freeze_time("2020-01-01"):
            lib.nap(0.05)
            job.finish()
            job.start()
        job.finish()
        """,
    )
    assert row(under.report, "lib:nap")["total_ns"] >= 0.05e9
    job = row(under.report, "job")
    assert (job["calls"], job["errors"]) == (2, 0)
    assert 0.09e9 <= job["total_ns"] < 30e9


def test_a_mock_of_the_clock_is_neither_called_nor_kept(tmp_path: Path):
    """The first watched module comes while it is there."""
    under = run(
        tmp_path,
        """
        from unittest import mock
        with mock.patch("time.monotonic_ns", return_value=5) as one, mock.patch("time.time_ns", return_value=7) as two:
            import lib
            lib.nap(0.01)
        lib.nap(0.05)
        print(one.call_count, two.call_count)
        """,
    )
    assert row(under.report, "lib:nap")["total_ns"] >= 0.06e9
    assert under.report["blind_spots"] == []


def test_a_mock_of_open_is_the_program_s_own(tmp_path: Path):
    """Our files are not opened through it, though it is there when we need them."""
    under = run(
        tmp_path,
        """
        from unittest import mock
        with mock.patch("builtins.open", mock.mock_open(read_data="x = 1")) as opened, mock.patch("os.open") as low:
            import settings
            print(settings.read())
            opened.assert_called_once_with("settings.ini")
            low.assert_not_called()
        """,
    )
    assert calls(under.report, "settings:read") == 1
    assert under.report["blind_spots"] == []


def test_a_fake_file_system_does_not_hide_ours(tmp_path: Path):
    """The first watched module, a fork, and more names than the first 64 KiB hold, all inside of it."""
    pytest.importorskip("pyfakefs")
    config = CONFIG.replace('calls = ["quote", "nap"]', 'calls = ["quote", "nap"]\nspan = "call {arg0}"')
    under = run(
        tmp_path,
        """
        import os
        from pyfakefs.fake_filesystem_unittest import Patcher
        here = os.getcwd()
        wait, end, fork = os.waitpid, os._exit, os.fork
        with Patcher() as patcher:
            patcher.fs.add_real_directory(here)
            os.chdir(here)
            import late, lib
            for number in range(1000): lib.quote(number)
            child = fork()
            if not child:
                late.quote(1)
                end(0)
            print(wait(child, 0)[1])
            late.quote(1)
        late.quote(1)
        """,
        config,
    )
    assert calls(under.report, "lib:quote") == 1000
    assert len([row for row in under.report["calls"] if row["target"] == "lib:quote"]) == 1000
    assert calls(under.report, "late:quote") == 3
    assert under.report["blind_spots"] == []


def test_a_clock_of_ours_is_nowhere_to_be_found(tmp_path: Path):
    """No attribute of a module of ours is a clock or a file function of the program's."""
    under = run(
        tmp_path,
        """
        import os, sys, time, lib
        lib.quote(1)
        theirs = {id(value): name for module in (os, time) for name, value in vars(module).items() if callable(value)}
        del theirs[id(os.register_at_fork)]  # has been called when the program begins
        ours = [module for name, module in sys.modules.items() if name.startswith("hookmon")]
        print([(theirs[id(value)], name) for module in ours for name, value in vars(module).items() if id(value) in theirs])
        """,
    )
    assert under.stdout == "[]\n"


def test_a_fake_file_system_takes_its_own_finder_away_and_not_ours(tmp_path: Path):
    """pyfakefs puts one first and pops the first: a suite has the outcome of a plain run, and what comes later is watched."""
    pytest.importorskip("pyfakefs")
    suite = """
        import gc
        import lib

        def test_one(fs):
            import this
            lib.quote(1)

        def test_two():
            gc.collect()
            import late
            assert late.quote(2) == 2
    """
    write(tmp_path, LIBRARY | {"test_suite.py": suite})
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_suite.py"]
    assert bare_run(command, cwd=tmp_path).exit_code == 0
    under = hookmon_run(command, cwd=tmp_path, config=CONFIG)
    assert under.exit_code == 0, under.stdout
    assert (calls(under.report, "lib:quote"), calls(under.report, "late:quote")) == (1, 1)
