"""The fixture `watched`, in test-suites that run under hookmon and in those that do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.engines import ENGINES
from support.runs import Result, bare_run, hookmon_run, write

SUITE = """
    import sqlite3, threading
    import pytest

    @pytest.fixture
    def connection():
        connection = sqlite3.connect(":memory:")
        connection.execute("create table t (a)")
        yield connection
        connection.close()

    def test_counts(connection, watched):
        for a in range(5):
            connection.execute("insert into t values (?)", (a,))
        assert watched.calls("sql") == 5
        assert watched.calls("insert*") == 5
        assert watched.names("sql") == {"insert into t values (?)": 5}
        watched.reset()
        assert watched.calls() == 0

    def test_errors(watched, connection):
        before = watched.calls("sql")
        with pytest.raises(sqlite3.Error):
            connection.execute("select nothing")
        assert (watched.calls("sql") - before, watched.errors("sql")) == (1, 1)

    def test_threads(watched):
        def work():
            connection = sqlite3.connect(":memory:")
            connection.execute("select 1")
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert watched.calls("sql") == 4

    def test_too_many(watched, connection):
        connection.execute("select 1")
        assert watched.calls("sql") <= 0

    def test_without(): pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write(tmp_path, {"test_shop.py": SUITE, "pytest.ini": "[pytest]\n", "hookmon.toml": ""})


PYTEST = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]


def outcome(done: Result) -> str:
    return done.stdout.strip().rpartition("\n")[2].partition(" in ")[0].strip("= ")


@pytest.mark.parametrize("engine", ENGINES)
def test_calls_of_a_test_are_counted_under_hookmon(suite: Path, engine: str):
    """Exactly, in all threads; and a limit that is passed fails the test."""
    done = hookmon_run(PYTEST, cwd=suite, env={"HOOKMON_ENGINE": engine})
    assert outcome(done) == "1 failed, 4 passed", done.stdout
    assert "test_too_many" in done.stdout


def test_workers_of_xdist_count_their_own(suite: Path):
    """Each reads the shard of its own process."""
    done = hookmon_run([*PYTEST, "-n", "2"], cwd=suite)
    assert outcome(done) == "1 failed, 4 passed", done.stdout


def test_a_plain_run_skips_with_the_reason(suite: Path):
    """No number is better than a wrong one."""
    done = bare_run(PYTEST, cwd=suite)
    assert (outcome(done), done.exit_code) == ("1 passed, 4 skipped", 0), done.stdout
    assert "calls are counted only when the tests run under hookmon: hookmon run pytest" in done.stdout


def test_the_plugin_brings_nothing_into_a_session(suite: Path):
    """Of hookmon only itself, and no library that the tests and the other plugins did not import."""
    listing = """
        import sys
        from pathlib import Path
        def test_loaded(request):
            with_us = request.config.pluginmanager.has_plugin("hookmon")
            Path("with us" if with_us else "without us").write_text("\\n".join(sys.modules))
    """
    write(suite, {"test_shop.py": listing})
    for options in ([], ["-p", "no:hookmon"]):
        assert outcome(bare_run([*PYTEST, "-p", "no:xdist", *options], cwd=suite)) == "1 passed"
    with_us, without_us = (set((suite / name).read_text().split("\n")) for name in ("with us", "without us"))
    assert with_us - without_us == {"hookmon", "hookmon.testing", "hookmon.testing.plugin"}


def test_a_strict_suite_runs_where_a_wheel_is_installed(suite: Path):
    """Only there pytest knows the files: it wants to rewrite the package, and warns that the probe has imported it already.

    The suite's folder holds what a wheel's installation says of itself; tests/e2e/test_wheel.py installs one.
    """
    metadata = {
        "METADATA": "Metadata-Version: 2.1\nName: hookmon\nVersion: 0.1.0\n",
        "RECORD": "hookmon/__init__.py,,\nhookmon/testing/__init__.py,,\nhookmon/testing/plugin.py,,\n",
        "entry_points.txt": "[pytest11]\nhookmon = hookmon.testing.plugin\n",
    }
    write(suite, {f"hookmon-0.1.0.dist-info/{name}": text for name, text in metadata.items()})
    done = hookmon_run([*PYTEST, "-W", "error"], cwd=suite)
    assert (outcome(done), done.exit_code) == ("1 failed, 4 passed", 1), done.stderr
