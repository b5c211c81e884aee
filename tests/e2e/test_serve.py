"""Programs that nobody starts by `hookmon run`: HOOKMON and the door begin a run, and `hookmon serve` collects."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.runs import (
    HOOKMON,
    PYTHON,
    Started,
    blind_spots,
    calls,
    hookmon_run,
    hookmon_start,
    wait_until,
    watch,
    watch_row,
    write,
)
from support.served import CONFIG, PROGRAM, Place

from hookmon.services import reading
from hookmon.services.store import FILE_NAME, ServiceStore

WAITS = "import os, time\nfor _ in range(3_000): os.path.exists('end') or time.sleep(0.02)\n"
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSIONS = ["3.11", "3.12", "3.13", "3.14", "3.15"] if "HOOKMON_BOTH" in os.environ else [OWN]
"""All that there are where `.ci/interpreters` asks for it."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_program_without_a_launcher_is_counted(version: str, tmp_path: Path) -> None:
    """Whatever options its Python has; its configuration is that of its working folder, and it prints what it prints."""
    place = Place(tmp_path, version)
    try:
        for number, options in enumerate((["-I"], ["-E"], []), 1):
            done = place.run(*options, "app.py")
            assert done.seen == ("", "", 0)
            found = place.wait_for_end(number)
            assert (calls(found, "work:step"), blind_spots(found), len(found["processes"])) == (7, [], 1)
            assert (found["run"]["state"], found["run"]["exit_code"]) == ("finished", None)
            assert found["run"]["command"] == [str(place.python), *options, "app.py"]
        assert [run["run"] for run in json.loads(place.verb("runs", "--json").stdout)] == [3, 2, 1]
    finally:
        place.stop()


SEEN = """
import json, os, signal, sys
try:
    child = os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    child = None
seen = {"child": child, "files": sorted(os.listdir("/proc/self/fd")), "path": sys.path, "group": os.getpgrp() == os.getpid()}
seen |= {"mask": sorted(signal.pthread_sigmask(0, []))}
seen |= {"cache": [path for path in sys.path_importer_cache if "bootstrap" in path]}
seen |= {"environment": {name: value for name, value in os.environ.items() if not name.startswith("HOOKMON")}}
seen |= {"handlers": [str(signal.getsignal(number)) for number in range(1, 32)]}
seen |= {"modules": [name for name in sys.modules if "hookmon" in name and not name.startswith("hookmon.")]}
print(json.dumps(seen))
"""


def test_the_program_sees_nothing_of_its_collector(place: Place) -> None:
    """No child, no descriptor, no folder on its path; the collector has nothing of the program: its pipes end with it."""
    expected = json.loads(place.run("-c", SEEN, env={"HOOKMON": None}).stdout)
    for _ in range(2):  # it is started for the first, and there for the second
        read, written = os.pipe()
        started = place.start("-c", SEEN, pass_fds=[written])
        os.close(written)
        with open(read, "rb") as pipe:
            assert pipe.read() == b""  # nobody has the other end any more
        done = started.finish()
        seen = json.loads(done.stdout)
        expected["files"] = seen["files"] if str(written) in seen["files"] else None
        assert sorted(seen.pop("modules")) == ["hookmon", "hookmon_door"]
        assert {key: (seen[key], expected[key]) for key in seen if seen[key] != expected[key]} == {}
        assert done.stderr == ""
    collector = place.collector()
    assert (collector.cwd(), os.getsid(collector.pid) != os.getsid(0), collector.terminal()) == ("/", True, None)
    ours = {f"/proc/{collector.pid}/fd/{number}" for number in os.listdir(f"/proc/{collector.pid}/fd")}
    opened = {os.readlink(path) for path in ours if os.path.lexists(path)}
    assert {path for path in opened if path.startswith("/") and not path.startswith(("/proc/", str(place.files)))} <= {
        "/dev/null"
    }
    assert not [name for name in collector.environ() if name.startswith(("HOOKMON", "PYTHON")) and name != "HOOKMON_FOLDER"]


def test_programs_that_begin_together_have_one_collector(place: Place) -> None:
    """Eight at once: each has a run of its own, and counts exactly."""
    write(place.folder, {"app.py": PROGRAM + "for number in range(int(sys.argv[1])): work.step(number)\n"})
    started = [place.start("app.py", str(number)) for number in range(8)]
    assert [one.finish().seen for one in started] == [("", "", 0)] * 8
    found = {
        place.wait_for_end(number)["run"]["command"][-1]: calls(place.report(str(number)), "work:step") for number in range(1, 9)
    }
    assert found == {str(number): 7 + number for number in range(8)}
    log = (place.spool / "log").read_text()
    assert log.count(" serves ") == 1, log


def test_children_belong_to_the_run_of_their_program(place: Place) -> None:
    """Forks, isolated children, those whose environment was replaced but for ours: one run, every call."""
    program = PROGRAM + (
        "import os, subprocess\n"
        "if len(sys.argv) == 1:\n"
        "    for _ in range(3):\n"
        "        if not os.fork():\n            work.step()\n            os._exit(0)\n        os.wait()\n"
        "    subprocess.run([sys.executable, '-I', 'app.py', 'child'], check=True)\n"
        "    subprocess.run([sys.executable, 'app.py', 'child'], env={**os.environ, 'PYTHONPATH': '.'}, check=True)\n"
    )
    write(place.folder, {"app.py": program})
    assert place.run("app.py").seen == ("", "", 0)
    found = place.wait_for_end()
    assert (calls(found, "work:step"), len(found["processes"]), blind_spots(found)) == (7 + 3 + 7 + 7, 6, [])
    assert [run["run"] for run in json.loads(place.verb("runs", "--json").stdout)] == [1]


DAEMON = """
import os, sys, time
sys.path.insert(0, ".")
slow = float(sys.argv[1])
if sys.argv[2] == "after": import work; work.step()
if os.fork():
    time.sleep(slow)
    os._exit(0)
os.setsid()
if os.fork():
    time.sleep(slow)
    os._exit(0)
os.closerange(0, 256)
with open("pid", "w") as file: file.write(str(os.getpid()))
for _ in range(3_000): os.path.exists("go") or time.sleep(0.02)
import work
for number in range(100): work.step(number)
open("counted", "w").close()
for _ in range(3_000): os.path.exists("end") or time.sleep(0.02)
work.step()
"""


@pytest.mark.parametrize("first", ["before", "after"])
@pytest.mark.parametrize("slow", ["0", "0.5"], ids=["a quick double fork", "a slow one"])
def test_a_daemon_is_followed_to_its_end(slow: str, first: str, place: Place) -> None:
    """Before its first watched call it has no mark but how it was executed, and it is followed for longer than that takes."""
    write(place.folder, {"daemon.py": DAEMON})
    assert place.run("daemon.py", slow, first).exit_code == 0
    wait_until(lambda: (place.folder / "pid").exists() and (place.folder / "pid").read_text(), "the daemon")
    time.sleep(4)  # a run of which nothing is seen would be over by then
    found = place.report()
    assert found["run"]["state"] == "running"
    (place.folder / "go").touch()
    wait_until((place.folder / "counted").exists, "a hundred calls")
    at_first = int(first == "after")
    assert calls(place.report(), "work:step") == 100 + at_first
    (place.folder / "end").touch()
    found = place.wait_for_end()
    assert (calls(found, "work:step"), found["run"]["state"], blind_spots(found)) == (101 + at_first, "finished", [])


def test_a_killed_collector_loses_nothing(place: Place) -> None:
    """The program counts on, a report reads it, and the collector that the next program starts takes it over."""
    write(place.folder, {"waits.py": PROGRAM + "open('ready', 'w').close()\n" + WAITS + "work.step()\n"})
    started = place.start("waits.py")
    wait_until((place.folder / "ready").exists, "the calls")
    collector = place.collector()
    collector.kill()
    wait_until(lambda: place.status() is None, "the end of the collector")
    assert calls(place.report("1"), "work:step") == 7
    assert place.run("app.py").seen == ("", "", 0)
    wait_until(lambda: [run["run"] for run in (place.status() or {"runs": []})["runs"]][:1] == [1], "the run to be taken over")
    (place.folder / "end").touch()
    assert started.finish().seen == ("", "", 0)
    found = place.wait_for_end()
    assert (calls(found, "work:step"), found["run"]["state"]) == (8, "recovered")
    assert [line.partition(":")[0] for line in blind_spots(found)] == ["not followed"]
    assert calls(place.wait_for_end(2), "work:step") == 7


def test_a_collector_that_is_ended_leaves_its_runs_to_the_next(place: Place) -> None:
    """SIGTERM: what was counted by then is in the report, and what comes after as well."""
    write(place.folder, {"waits.py": PROGRAM + "open('ready', 'w').close()\n" + WAITS + "work.step()\n"})
    started = place.start("waits.py")
    wait_until((place.folder / "ready").exists, "the calls")
    place.stop()
    assert "1 run is left" in (place.spool / "log").read_text()
    (place.folder / "end").touch()
    assert started.finish().seen == ("", "", 0)
    assert calls(place.report("1"), "work:step") == 8
    assert hookmon_run([PYTHON, "-c", "pass"], cwd=place.folder, env={"HOOKMON_FOLDER": str(place.files)}).exit_code == 0
    assert calls(place.wait_for_end(1), "work:step") == 8


def test_a_program_that_cannot_be_served_runs_all_the_same(place: Place) -> None:
    """A mistake in the configuration, a name that is none, no time, no interpreter: one line; it ends as it would."""
    write(place.folder, {"app.py": PROGRAM + "sys.exit(5)\n"})
    cases: list[tuple[dict[str, str | None], str]] = [
        ({"HOOKMON": "12"}, 'HOOKMON=12: service "12" would be taken for a run'),
        ({"HOOKMON_WAIT": "0"}, "did not answer in time (HOOKMON_WAIT=0)"),
        ({"HOOKMON_FOLDER": "/proc/no"}, "there is no place for its files"),
        ({}, "hookmon.toml:2"),
    ]
    for env, told in cases:
        if not env:
            write(place.folder, {"hookmon.toml": "[[watch]]\nmodul = 'x'\n"})
        done = place.run("app.py", env=env)
        assert (done.stdout, done.exit_code) == ("", 5)
        assert told in done.stderr
        assert (done.stderr[:9], done.stderr.count("\n")) == ("hookmon: ", 1)
        assert done.stderr.endswith("; the program runs unwatched [not-served]\n")
    line_file = next((place.python.parent.parent / "lib").glob("python*/site-packages/hookmon-door.pth"))
    line_file.write_text(line_file.read_text().replace(sys.executable, "/no/such/python"))
    place.stop()
    done = place.run("app.py", env={"HOOKMON_WAIT": "0.2"})
    assert (done.stdout, done.exit_code) == ("", 5)
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_collector_that_does_not_answer_holds_nobody_up(place: Place) -> None:
    """It is stopped: the program takes its request back, says so in one line and goes on; no run is begun for it later."""
    assert place.run("app.py").seen == ("", "", 0)
    place.wait_for_end()
    collector = place.collector()
    collector.suspend()
    try:
        done = place.run("app.py", env={"HOOKMON_WAIT": "0.3"})
        assert (done.stdout, done.exit_code, done.stderr.count("\n")) == ("", 0, 1)
        assert "did not answer in time (HOOKMON_WAIT=0.3)" in done.stderr
        assert not list(place.spool.glob("*.request"))
    finally:
        collector.resume()
    assert place.run("app.py").seen == ("", "", 0)
    place.wait_for_end(2)
    assert [run["run"] for run in json.loads(place.verb("runs", "--json").stdout)] == [2, 1]


def test_switched_off_is_off(place: Place) -> None:
    """HOOKMON_DISABLE, "", 0; hookmon itself is no program to watch; under `hookmon run` the launcher's run is the one."""
    write(place.folder, {"bin/hookmon": "print('mine')\n"})
    for args, env in (
        (["app.py"], {"HOOKMON_DISABLE": "1"}),
        (["app.py"], {"HOOKMON": "0"}),
        (["app.py"], {"HOOKMON": ""}),
        (["bin/hookmon"], {}),
    ):
        assert place.run(*args, env=dict(env)).exit_code == 0
    assert not (place.files / "runs").exists()
    assert place.status() is None
    done = hookmon_run([str(place.python), "-I", "app.py"], cwd=place.folder, env=place.env)
    assert (calls(done.report, "work:step"), len(done.report["processes"])) == (7, 1)
    assert place.status() is None


def test_a_run_without_its_launcher_is_taken_over(place: Place) -> None:
    """The launcher of `hookmon run` is killed, its program lives on: it is followed, and saved when it has ended."""
    write(place.folder, {"waits.py": PROGRAM + "open('ready', 'w').close()\n" + WAITS + "work.step()\n"})
    env: dict[str, str | None] = {**place.env, "HOOKMON": None}
    serving = Started([HOOKMON, "serve"], cwd=place.folder, env=env)
    wait_until(lambda: place.status() is not None, "the collector")
    running = hookmon_start([PYTHON, "waits.py"], cwd=place.folder, env=env)
    wait_until((place.folder / "ready").exists, "the calls")
    os.kill(running.process.pid, signal.SIGKILL)
    wait_until(
        lambda: [run["kind"] for run in (place.status() or {"runs": []})["runs"]] == ["without its launcher"], "taking over"
    )
    assert calls(place.report(), "work:step") == 7
    (place.folder / "end").touch()
    found = place.wait_for_end()
    assert (calls(found, "work:step"), found["run"]["state"]) == (8, "recovered")
    running.kill()
    place.stop()
    told = serving.finish()
    assert (told.exit_code, told.stdout) == (0, "")
    assert [word for word in (" serves ", " is taken over: ", " has ended: ", " ends") if word not in told.stderr] == []


def test_what_outlives_its_launcher_is_followed(place: Place) -> None:
    """A daemon and thirty of its children, each of which counts: all is in the report while it lives and when it has ended."""
    daemon = (
        DAEMON.removesuffix("work.step()\n")
        + "for _ in range(30):\n    if not os.fork():\n        work.step()\n        os._exit(0)\n    os.wait()\n"
    )
    write(place.folder, {"daemon.py": daemon})
    env: dict[str, str | None] = {**place.env, "HOOKMON": None}
    serving = Started([HOOKMON, "serve"], cwd=place.folder, env=env)
    wait_until(lambda: place.status() is not None, "the collector")
    assert hookmon_run([PYTHON, "daemon.py", "0", "before"], cwd=place.folder, env=env).exit_code == 0
    wait_until(
        lambda: [run["kind"] for run in (place.status() or {"runs": []})["runs"]] == ["outlived its launcher"], "following"
    )
    (place.folder / "go").touch()
    wait_until((place.folder / "counted").exists, "a hundred calls")
    assert calls(place.report(), "work:step") == 100
    (place.folder / "end").touch()
    found = place.wait_for_end()
    assert (calls(found, "work:step"), found["run"]["state"], found["run"]["exit_code"]) == (130, "finished", 0)
    assert (found["still_running"], blind_spots(found)) == ([], [])
    place.stop()
    assert serving.finish().exit_code == 0


def test_a_collector_ends_when_there_is_nothing_to_follow(place: Place) -> None:
    """A second one is refused while it runs; afterwards a program starts another."""
    env: dict[str, str | None] = {**place.env, "HOOKMON": None}
    first = Started([HOOKMON, "serve"], cwd=place.folder, env=env)
    wait_until(lambda: place.status() is not None, "the collector")
    second = Started([HOOKMON, "serve"], cwd=place.folder, env=env).finish()
    assert (second.exit_code, second.stderr.count("\n")) == (1, 1)
    assert f"hookmon serve runs already (process {place.collector().pid})" in second.stderr
    assert "nothing to follow now" in place.verb("serve", "--status").stdout
    place.stop()
    assert first.finish().exit_code == 0
    done = Started([HOOKMON, "serve", "--idle", "1"], cwd=place.folder, env=env).finish()
    assert (done.exit_code, done.stderr.splitlines()[-1].endswith("ends: there is nothing to follow")) == (0, True)
    assert place.verb("serve", "--status").exit_code == 1
    assert place.run("app.py").seen == ("", "", 0)
    assert calls(place.wait_for_end(), "work:step") == 7


def test_a_service_is_named_by_the_variable(place: Place) -> None:
    """HOOKMON=web: its minutes are kept as those of `hookmon run --service web`."""
    for number in (1, 2):
        assert place.run("app.py", env={"HOOKMON": "web"}).seen == ("", "", 0)
        place.wait_for_end(number)
    found = json.loads(place.verb("report", "web", "--last", "10m", "--json").stdout)
    assert calls(found, "work:step") == 14


def test_a_service_goes_on_without_its_launcher(place: Place) -> None:
    """The collector keeps its minutes from where the killed launcher was, and what has outlived one is added at its end."""
    write(place.folder, {"waits.py": PROGRAM + "open('ready', 'w').close()\n" + WAITS + "work.step()\n"})
    env: dict[str, str | None] = {**place.env, "HOOKMON": None}
    store = ServiceStore(place.folder / "state-home" / "hookmon" / FILE_NAME)
    serving = Started([HOOKMON, "serve"], cwd=place.folder, env=env)
    wait_until(lambda: place.status() is not None, "the collector")
    running = hookmon_start([PYTHON, "waits.py"], cwd=place.folder, env=env, options=["--service", "web"])
    wait_until((place.folder / "ready").exists, "the calls")
    wait_until(lambda: reading.services(store), "the start")
    os.kill(running.process.pid, signal.SIGKILL)
    wait_until(
        lambda: [run["kind"] for run in (place.status() or {"runs": []})["runs"]] == ["without its launcher"], "taking over"
    )
    (followed,) = (place.status() or {"runs": []})["runs"]
    assert followed["pid"] > 0
    wait_until(lambda: steps(store) == 7, "the minute")
    (place.folder / "end").touch()
    place.wait_for_end()
    wait_until(lambda: not reading.services(store)[0].running, "the end")
    assert (steps(store), reading.services(store)[0].starts) == (8, 1)
    assert [start.pid for start in reading.starts(store, "web")] == [followed["pid"]]
    running.kill()
    place.stop()
    assert serving.finish().exit_code == 0


def steps(store: ServiceStore) -> int:
    """Return the calls that are written of a service."""
    whole = reading.stretch(store, "web", 0, time.time() + 60)
    return sum(counts.sums[0] for number, counts in whole.counts.items() if whole.places[number].name == "step")


def test_hints_are_about_the_project_of_the_program(place: Place) -> None:
    """The collector works at the top of the file system, and looks for what was meant where the program's modules are."""
    write(place.folder, {"hookmon.toml": CONFIG + watch("wrok", "step")})
    assert place.run("app.py").seen == ("", "", 0)
    found = place.wait_for_end()
    assert watch_row(found, "wrok:step")["status"] == "never imported"
    assert "did you mean work?" in watch_row(found, "wrok:step")["detail"]
