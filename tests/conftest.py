"""What all tests share: the tiers, servers for the session, and signals as a user's shell leaves them."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import rewriting, runs, tiers
from support.launcher import LaunchServer, WarmSubprocess
from support.servers import Postgres, Valkey

_SHELLS = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""The signals that `nohup`, or a shell that starts a job in the background, has its programs ignore."""


def pytest_configure(config: pytest.Config) -> None:
    """Guard the tiers, and see to it that no program of a test begins with a signal ignored.

    Programs inherit an ignored signal, and not a handler. So what is ignored here gets a handler that does nothing: this
    process goes on ignoring it. A worker of pytest-xdist is such a program, and is told what to ignore.
    """
    config.pluginmanager.register(tiers.Guard())
    ignored = [number for number in _SHELLS if signal.getsignal(number) is signal.SIG_IGN]
    config.stash[_IGNORED] = [*ignored, *getattr(config, "workerinput", {}).get("ignored_signals", ())]
    for number in config.stash[_IGNORED]:
        signal.signal(number, _pass_over)


_IGNORED = pytest.StashKey[list[int]]()


def _pass_over(number: int, frame: object) -> None:
    pass


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Have what all workers need made once, before they start, where all tests are asked for."""
    if config.args == config.getini("testpaths"):
        rewriting.keep_rewritten(Path(__file__).parent)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker which signals to ignore."""
    node.workerinput["ignored_signals"] = [int(number) for number in node.config.stash[_IGNORED]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the markers, before `-m` looks at them."""
    tiers.mark(items)
    tiers.begin_with_the_longest(items)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    """Say how many tests were behaviour, and how many checks of files, after all that pytest says by itself."""
    yield
    ran = [report for outcome in ("passed", "failed", "xfailed") for report in terminalreporter.getreports(outcome)]
    terminalreporter.write_line(tiers.summary(report for report in ran if report.when == "call"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Any:
    """Have a test that fails tell how the last commands ended and what they printed, whatever it looked at first."""
    report = yield
    if report.failed:
        report.sections += runs.tell_ended()
    return report


def pytest_runtest_logstart(location: tuple[str, int | None, str]) -> None:
    """Forget the commands of another module. Those of this one may be its fixture's."""
    if location[0] != runs.ended_in:
        runs.ended_in = location[0]
        runs.ended.clear()


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nobody asks
def pytest_xdist_auto_num_workers() -> int:
    """Return how many tests run at once for `-n auto`: two for each processor, as a third of a test's time is waiting."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out tests one by one, but for modules whose tests share what takes long: one worker gets all of such a module."""
    if config.option.dist != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OneByOne(LoadScopeScheduling):  # type: ignore[misc]
        def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
            nodeid = self.registered_collections[node][item_index]
            super().mark_test_complete(node, item_index, duration)
            scope = self._split_scope(nodeid)
            if all(self.assigned_work[node][scope].values()):
                del self.assigned_work[node][scope]  # or all that have ended are gone through after each test

        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            return module if module in tiers.TOGETHER else nodeid

    return OneByOne(config, log)


@pytest.fixture(autouse=True)
def _sweep(request: pytest.FixtureRequest) -> Iterator[None]:
    """Delete the run folders of a test's projects whose launchers it has killed: every later run would look at them."""
    starts = any(request.node.get_closest_marker(marker) for marker in tiers.STARTS)
    projects = request.getfixturevalue("tmp_path") if starts and "tmp_path" in request.fixturenames else None
    yield
    if projects is not None:
        runs.sweep(projects)


@pytest.fixture(scope="session")
def _launch_server() -> Iterator[LaunchServer]:
    server = LaunchServer(runs.environment(Path("/")))
    yield server
    server.stop()


@pytest.fixture
def warm_launcher(_launch_server: LaunchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hookmon` starts warm, wherever its own start is not what the test is about. See support/launcher.py."""
    kit = importlib.import_module("hookmon.testing.run")  # the package has a function of that name
    monkeypatch.setattr(runs, "launch_server", _launch_server)
    monkeypatch.setattr(kit, "subprocess", WarmSubprocess(_launch_server))


@pytest.fixture(scope="session")
def _valkey_server() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.stop()


@pytest.fixture
def valkey(_valkey_server: Valkey) -> Valkey:
    """A Valkey server that is empty and has counted nothing yet."""
    _valkey_server.reset()
    return _valkey_server


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture
def postgres(_postgres_server: Postgres) -> Postgres:
    """A PostgreSQL server that has counted nothing yet."""
    _postgres_server.reset()
    return _postgres_server
