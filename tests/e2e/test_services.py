"""Real runs of services: what the store has of them is what the runs counted."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from support.runs import PYTHON, calls, hookmon, hookmon_run, hookmon_start, row, wait_until, watch, write

from hookmon.collector.counters import CallKey
from hookmon.collector.rows import Process
from hookmon.report.model import build
from hookmon.services import reading
from hookmon.services.places import STATUS
from hookmon.services.recovery import settle
from hookmon.services.store import FILE_NAME, ServiceStore
from hookmon.services.windows import window

PROGRAM = """
    import sys, time

    def serve(number):
        ask(number)
        if number % 5 == 0:
            raise KeyError(number)

    def ask(number):
        pass

    for number in range(int(sys.argv[1])):
        try:
            serve(number)
        except KeyError:
            pass
    print("served", flush=True)
    if len(sys.argv) > 2:
        time.sleep(float(sys.argv[2]))
"""
CONFIG = watch("__main__", "serve", entry=True, kind="request") + watch("__main__", "ask")
SERVE = CallKey("serve", "request", "__main__:serve")


def store_of(project: Path) -> ServiceStore:
    """Return the store that `environment` of support.runs leads to."""
    return ServiceStore(project / "state-home" / "hookmon" / FILE_NAME)


def counted(store: ServiceStore, service: str) -> dict[str, tuple[int, int]]:
    """Return {name: (calls, errors)} by the hours of a service."""
    found: dict[str, tuple[int, int]] = {}
    whole = reading.stretch(store, service, 0, time.time() + 86_400)
    for number, counts in whole.counts.items():
        if whole.places[number].kind == STATUS:
            continue
        before = found.get(whole.places[number].name, (0, 0))
        found[whole.places[number].name] = (before[0] + counts.sums[0], before[1] + counts.sums[1])
    return found


def test_a_run_of_a_service_is_in_its_minutes_and_hours(tmp_path: Path):
    """Calls, errors and times by transaction, and what the start was, are those of the run."""
    write(tmp_path, {"app.py": PROGRAM})
    config = CONFIG + '[service]\nname = "web"\nversion = "2.4"\n'
    result = hookmon_run([PYTHON, "app.py", "500"], cwd=tmp_path, config=config)
    assert (result.exit_code, result.stdout) == (0, "served\n")
    store = store_of(tmp_path)
    assert [(service.name, service.starts, service.running) for service in reading.services(store)] == [("web", 1, 0)]
    (start,) = reading.starts(store, "web")
    assert (start.version, start.state, start.command[-2:]) == ("2.4", reading.ENDED, ["app.py", "500"])
    now = time.time()
    for by_hour in (False, True):
        points = reading.curve(store, "web", now - 7_200, now + 60, by_hour=by_hour)
        assert sum(point.counters.calls for point in points) == 500
        of_one = reading.curve(store, "web", now - 7_200, now + 60, transaction="serve", by_hour=by_hour)
        assert [(point.at_s, point.counters) for point in of_one] == [(point.at_s, point.counters) for point in points]
    figures = reading.transactions(store, "web", now - 7_200, now + 60)[SERVE]
    of_run = row(result.report, "serve")
    assert (figures.calls, figures.errors, figures.total_ns) == (500, 100, of_run["total_ns"])
    assert (figures.max_ns, figures.p95_ns) == (of_run["max_ns"], of_run["p95_ns"])
    assert counted(store, "web") == {"serve": (500, 100), "ask": (500, 0)}
    used = reading.usage(store, "web", now - 7_200, now + 60)
    assert sum(point.cpu_ns for point in used) > 0
    assert all(point.launcher_rss_bytes > 0 for point in used)


def test_what_belongs_to_no_service_makes_no_store(tmp_path: Path):
    """An ordinary run leaves nothing of services."""
    write(tmp_path, {"app.py": PROGRAM})
    assert hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=CONFIG).exit_code == 0
    assert not store_of(tmp_path).path.exists()


def test_a_run_may_stay_out_of_the_service_of_its_project(tmp_path: Path):
    """As a test or a shell that is started beside it."""
    write(tmp_path, {"app.py": PROGRAM})
    config = CONFIG + '[service]\nname = "web"\n'
    assert hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=config, options=["--no-service"]).exit_code == 0
    assert not store_of(tmp_path).path.exists()
    both = hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=config, options=["--no-service", "--service", "a"])
    assert (both.exit_code, both.stdout) == (2, "")


def test_the_store_is_private(tmp_path: Path):
    """Its folder is closed to others, and so is the file."""
    write(tmp_path, {"app.py": PROGRAM})
    assert hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=CONFIG, options=["--service", "web"]).exit_code == 0
    path = store_of(tmp_path).path
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_several_launchers_write_at_once(tmp_path: Path):
    """Of two services with three launchers each nothing is lost, and nothing is counted for another one."""
    write(tmp_path, {"app.py": PROGRAM})
    (tmp_path / "hookmon.toml").write_text(CONFIG)
    started = [
        (name, hookmon_start([PYTHON, "app.py", str(count)], cwd=tmp_path, options=["--service", name]))
        for name in ("web", "worker")
        for count in (100, 200, 300)
    ]
    for _, command in started:
        assert command.finish().exit_code == 0
    store = store_of(tmp_path)
    for name in ("web", "worker"):
        assert counted(store, name) == {"serve": (600, 120), "ask": (600, 0)}
        assert [start.state for start in reading.starts(store, name)] == [reading.ENDED] * 3


def test_a_busy_store_holds_up_no_signal_and_loses_nothing(tmp_path: Path):
    """While another process has the store locked, a signal comes to the program at once; later all of it is written."""
    program = """
        import signal, sys, time

        def serve(number):
            pass

        def leave(number, frame):
            print("told", flush=True)
            sys.exit(3)

        signal.signal(signal.SIGTERM, leave)
        for number in range(70):
            serve(number)
        print("ready", flush=True)
        time.sleep(120)
    """
    write(tmp_path, {"app.py": program})
    store = store_of(tmp_path)
    with store.writing():
        pass
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        config = watch("__main__", "serve", entry=True, kind="request")
        started = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=config, options=["--service", "web"])
        wait_until(lambda: b"ready" in os.pread(started._stdout.fileno(), 100, 0), "the program")
        os.kill(started.process.pid, signal.SIGTERM)
        wait_until(lambda: b"told" in os.pread(started._stdout.fileno(), 100, 0), "the signal", timeout=30)
        other.execute("ROLLBACK")
    assert started.finish().exit_code == 3
    assert counted(store, "web") == {"serve": (70, 0)}


def test_a_store_that_cannot_be_written_costs_one_line(tmp_path: Path):
    """The program does what it always does, and a sentence says that its service is not kept."""
    write(tmp_path, {"app.py": PROGRAM})
    store = store_of(tmp_path)
    store.path.mkdir(parents=True)
    result = hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=CONFIG, options=["--service", "web"])
    assert (result.exit_code, result.stdout) == (0, "served\n")
    assert result.stderr.count("[store]") == 1
    assert calls(result.report, "serve") == 5


def test_a_damaged_store_is_set_aside(tmp_path: Path):
    """A line says so, the old file stays beside it, and the run is in a new store."""
    write(tmp_path, {"app.py": PROGRAM})
    store = store_of(tmp_path)
    store.path.parent.mkdir(parents=True, mode=0o700)
    store.path.write_bytes(b"nothing of SQLite's" * 1000)
    result = hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=CONFIG, options=["--service", "web"])
    assert (result.exit_code, result.stdout) == (0, "served\n")
    assert "services.sqlite.damaged-1, and a new one is begun [store]" in result.stderr
    assert store.path.with_name("services.sqlite.damaged-1").read_bytes().startswith(b"nothing of")
    assert counted(store, "web")["serve"] == (5, 1)


def test_a_name_that_is_none_is_refused_before_the_start(tmp_path: Path):
    """In an option and in a configuration."""
    write(tmp_path, {"app.py": PROGRAM})
    for name in ("7", "last", " web", "a/b"):
        result = hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=CONFIG, options=["--service", name])
        assert (result.exit_code, result.stdout) == (2, "")
        result = hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=CONFIG + f'[service]\nname = "{name}"\n')
        assert (result.exit_code, result.stdout) == (2, "")
        assert "not-a-name" in result.stderr


LASTING = """
    import sys, time

    def serve(number):
        ask(number)

    def ask(number):
        pass

    for number in range(int(sys.argv[1])):
        serve(number)
    print("served", flush=True)
    time.sleep(600)
"""


def in_window(store: ServiceStore, service: str, **more: Any) -> dict[str, int]:
    """Return {name: calls} of the last hour of a service, as a Run."""
    now = time.time()
    run = window(store, service, now - 3_600, now, **more)
    found: dict[str, int] = {}
    for node in run.nodes:
        if node.calls:
            found[node.name] = found.get(node.name, 0) + node.calls
    return found


def test_the_running_minute_is_in_a_window(tmp_path: Path):
    """What a start has counted since it last wrote is read from its shards, by somebody who writes nothing."""
    write(tmp_path, {"app.py": LASTING})
    started = hookmon_start([PYTHON, "app.py", "300"], cwd=tmp_path, config=CONFIG, options=["--service", "web"])
    store = store_of(tmp_path)
    try:
        wait_until(lambda: b"served" in os.pread(started._stdout.fileno(), 100, 0), "the program")
        wait_until(store.path.exists, "the store")
        wait_until(lambda: reading.services(store), "the start")
        assert in_window(store, "web") == {"serve": 300, "ask": 300}
        now = time.time()
        (process,) = window(store, "web", now - 3_600, now).processes
        assert (process.calls, process.state, process.python[:1]) == (300, "running", "3")
        assert [service.running for service in reading.services(store)] == [1]
    finally:
        started.kill()


def test_a_killed_launcher_loses_nothing(tmp_path: Path):
    """Who looks sees the rest; the next start of any service writes it, once; the program went on and was ended later."""
    write(tmp_path, {"app.py": LASTING})
    options = ["--service", "web"]
    started = hookmon_start([PYTHON, "app.py", "300"], cwd=tmp_path, config=CONFIG, options=options)
    store = store_of(tmp_path)
    wait_until(lambda: b"served" in os.pread(started._stdout.fileno(), 100, 0), "the program")
    wait_until(lambda: store.path.exists() and reading.services(store), "the start")
    started.kill()
    assert in_window(store, "web") == {"serve": 300, "ask": 300}
    assert window(store, "web", time.time() - 600, time.time()).processes[0].pid > 0
    assert in_window(store, "web", with_running=False) == counted_calls(store, "web")
    others = [
        hookmon_start([PYTHON, "app.py", "50"], cwd=tmp_path, config=CONFIG, options=["--service", name])
        for name in ("web", "other")
    ]
    for other in others:
        wait_until(lambda other=other: b"served" in os.pread(other._stdout.fileno(), 100, 0), "the program")
        os.kill(other.process.pid, signal.SIGTERM)
        other.finish()
    assert counted_calls(store, "web") == {"serve": 350, "ask": 350}
    assert in_window(store, "web") == {"serve": 350, "ask": 350}
    assert sorted(start.state for start in reading.starts(store, "web")) == [reading.ENDED, reading.RECOVERED]
    assert all(start.pid > 0 for start in reading.starts(store, "web")), "a launcher that was killed has not saved the pid"
    settle(store)
    assert counted_calls(store, "web") == {"serve": 350, "ask": 350}


def counted_calls(store: ServiceStore, service: str) -> dict[str, int]:
    """Return {name: calls} of what is written."""
    return {name: calls for name, (calls, _) in counted(store, service).items() if calls}


def test_a_program_that_outlives_its_launcher_goes_on_being_counted(tmp_path: Path):
    """Each who settles adds what came, and the start stays one that runs until its last process has ended."""
    program = """
        import os, sys, time

        def serve(number):
            pass

        for number in range(20):
            serve(number)
        print("served", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.01)
        for number in range(30):
            serve(number)
        print("again", flush=True)
        while not os.path.exists("end"):
            time.sleep(0.01)
    """
    write(tmp_path, {"app.py": program})
    config = watch("__main__", "serve", entry=True, kind="request")
    started = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=config, options=["--service", "web"])
    store = store_of(tmp_path)
    try:
        wait_until(lambda: b"served" in os.pread(started._stdout.fileno(), 100, 0), "the program")
        wait_until(lambda: store.path.exists() and reading.services(store), "the start")
        os.kill(started.process.pid, signal.SIGKILL)
        started.process.wait()
        settle(store)
        assert (counted_calls(store, "web"), reading.services(store)[0].running) == ({"serve": 20}, 1)
        (tmp_path / "go").touch()
        wait_until(lambda: b"again" in os.pread(started._stdout.fileno(), 100, 0), "the program")
        settle(store)
        assert (counted_calls(store, "web"), reading.services(store)[0].running) == ({"serve": 50}, 1)
        (tmp_path / "end").touch()
        wait_until(lambda: not settle(store) and not reading.services(store)[0].running, "the end")
        assert counted_calls(store, "web") == {"serve": 50}
    finally:
        (tmp_path / "end").touch()
        started.kill()


def test_a_report_of_a_window_shows_its_slow_requests_whole(tmp_path: Path):
    """With the calls in them at their depth, and how long after the beginning of the window they began."""
    program = """
        import time

        def serve(number):
            prepare(number)

        def prepare(number):
            ask(number)

        def ask(number):
            if number == 7:
                time.sleep(0.05)
            if number == 3:
                raise KeyError(number)

        for number in range(20):
            try:
                serve(number)
            except KeyError:
                pass
    """
    write(tmp_path, {"app.py": program})
    config = watch("__main__", "serve", entry=True, kind="request") + watch("__main__", "prepare", "ask")
    assert hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, options=["--service", "web"]).exit_code == 0
    now = time.time()
    run = window(store_of(tmp_path), "web", now - 3_600, now)
    (row,) = [row for row in build(run).transactions if row.name == "serve"]
    slowest = row.examples[0]
    assert slowest.duration_ns > 50_000_000
    assert [(span.name, span.depth) for span in slowest.spans] == [("prepare", 1), ("ask", 2)]
    assert 0 < slowest.started_ns < run.duration_ns
    assert [example.error for example in row.examples if "first failed" in example.reasons] == ["KeyError"]
    assert (row.figures.calls, row.figures.errors, len(row.examples)) == (20, 1, 3)


def test_without_a_folder_for_state_the_project_has_the_store(tmp_path: Path):
    """A container with a read-only home, a user without one."""
    write(tmp_path, {"app.py": PROGRAM})
    env = {"XDG_STATE_HOME": "/proc/none"}
    result = hookmon_run([PYTHON, "app.py", "5"], cwd=tmp_path, config=CONFIG, options=["--service", "web"], env=env)
    assert (result.exit_code, result.stderr) == (0, "")
    store = ServiceStore(tmp_path / ".hookmon" / FILE_NAME)
    assert counted(store, "web")["serve"] == (5, 1)
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_a_window_says_when_the_service_was_off(tmp_path: Path):
    """While it runs and when it has ended: no call is not the same as none counted; and how much memory it has."""
    write(tmp_path, {"app.py": LASTING})
    started = hookmon_start([PYTHON, "app.py", "30"], cwd=tmp_path, config=CONFIG, options=["--service", "web"])
    store = store_of(tmp_path)
    try:
        wait_until(lambda: b"served" in os.pread(started._stdout.fileno(), 100, 0), "the program")
        wait_until(lambda: store.path.exists() and reading.services(store), "the start")
        for verb in ("off", "on"):
            done = hookmon([verb, "web"], cwd=tmp_path)
            assert done.exit_code == 0, done.stderr
            said, process = off_in_window(store)
            assert said.startswith("everything was off from ")
            assert process.rss_max_bytes > 5_000_000
        os.kill(started.process.pid, signal.SIGTERM)
        started.finish()
    finally:
        if not started.is_finished:
            started.kill()
    assert off_in_window(store)[0] == said
    assert said[1:] in " ".join(hookmon(["history", "web"], cwd=tmp_path).stdout.split())
    now = time.time()
    assert window(store, "web", now - 7_200, now - 3_600).blind_spots == []


def off_in_window(store: ServiceStore) -> tuple[str, Process]:
    """Return what the last hour of a service says of having been off, and its one start."""
    now = time.time()
    run = window(store, "web", now - 3_600, now)
    (spot,) = run.blind_spots
    assert spot.kind == "off"
    (process,) = run.processes
    return spot.detail, process
