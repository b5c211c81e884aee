"""The tiers of the suite: a marker for what each test starts, and the guard that keeps the quick tier quick.

    process   starts an interpreter, hookmon or any other program, or forks
    server    talks to a database, a cache or a queue
    build     builds or installs packages, which may need a network
    browser   looks at a page with Chromium
    files     asks files, or the libraries that are installed, what is in them: a check, no behaviour

The first four are set from a test's folder and fixtures (`mark`), or stand at a test or a module that starts something by
itself. The quick tier (`.ci/quick`) is what has none of them. A test without one of them fails as soon as it starts a
process or leaves this machine (`Guard`), in whatever tier it runs.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

STARTS = ("process", "server", "build", "browser")
_ROOMS = {
    "process": {"benchmarks", "budget", "docs", "e2e", "engine", "fuzz", "packs", "stress", "testing"},
    "files": {"architecture"},
}
_FIXTURES = {
    "process": {"fresh", "shard", "warm_launcher"},
    "server": {"postgres", "valkey"},
    "build": {"builder"},
    "browser": {"browser"},
}
TOGETHER = {
    "tests/architecture/test_imports.py",
    "tests/architecture/test_modules.py",
    "tests/budget/test_cost.py",
    "tests/budget/test_engine.py",
    "tests/cli/test_diff_and_check.py",
    "tests/e2e/test_nothing_lost.py",
    "tests/e2e/test_times.py",
    "tests/e2e/test_wrapped.py",
}
"""Modules in which several tests look at one run, at one set of figures or at the same trees, which take long to make."""

_PROCESS_EVENTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system", "pty.spawn"}
_OWN_HOSTS = ("127.", "::1", "localhost")


def mark(items: Iterable[pytest.Item]) -> None:
    """Give every test the markers of its folder and of its fixtures."""
    for item in items:
        room = item.path.parent.name
        fixtures = set(getattr(item, "fixturenames", ()))
        for marker, rooms in _ROOMS.items():
            if room in rooms:
                item.add_marker(marker)
        for marker, names in _FIXTURES.items():
            if fixtures & names:
                item.add_marker(marker)


def begin_with_the_longest(items: list[pytest.Item]) -> None:
    """Put the tests that are marked `long` first, so that none of them runs alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


class Guard:
    """Fails a test that starts something and has no marker for it. An audit hook, which sees every way to do so."""

    def __init__(self) -> None:
        self._watches = False
        self._started: list[str] = []
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watches:
            return
        if event in _PROCESS_EVENTS:
            self._started.append(f"starts a process ({event})")
        elif event == "socket.connect" and _is_far(arguments[1]):
            self._started.append(f"connects to {arguments[1]}")

    def _watch(self, item: pytest.Item) -> Iterator[None]:
        self._watches = not any(item.get_closest_marker(marker) for marker in STARTS)
        try:
            result = yield
        finally:
            self._watches = False
            started, self._started = self._started, []
        if started:
            pytest.fail(f"{item.nodeid} {started[0]}, and has none of the markers {', '.join(STARTS)}", pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Any:
        """Watch the fixtures."""
        return (yield from self._watch(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        """Watch the test."""
        return (yield from self._watch(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Any:
        """Watch the ends of the fixtures."""
        return (yield from self._watch(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Any:
        """A module starts nothing when it is imported: every tier, and every worker, would wait for it."""
        self._watches = True
        try:
            report = yield
        finally:
            self._watches = False
            started, self._started = self._started, []
        if started:
            report.outcome = "failed"
            report.longrepr = f"a module of tests {started[0]} when it is imported"
        return report


def _is_far(address: Any) -> bool:
    """Say whether a socket's address is on another machine. A Unix socket's is a path."""
    return isinstance(address, tuple) and not str(address[0]).startswith(_OWN_HOSTS)


def summary(reports: Iterable[pytest.TestReport]) -> str:
    """Return the line that tells behaviour from checks of files, of tests that were run to their end or failed."""
    kinds = Counter("files" if "files" in report.keywords else "behaviour" for report in reports)
    return f"{kinds['behaviour']} behaviour tests, {kinds['files']} checks of files"
