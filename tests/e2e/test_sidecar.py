"""A container beside the program's: it shares a volume with it, and neither its pids nor its mounts."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support.backends import free_port
from support.containers import Container, init_of
from support.runs import HOOKMON, PYTHON, Started, blind_spots, calls, wait_until, watch, write

WORK = "import time\n\ndef step(number=0):\n    return number\n\ndef linger():\n    time.sleep(60)\n"
WATCH = watch("work", "step", "linger")
RUN = [HOOKMON, "run", "--quiet", "--", PYTHON, "app.py"]

APP = """
import os, sys, threading, time, work

def wait(name):
    while not os.path.exists("/hookmon/" + name):
        time.sleep(0.01)

def tell(name):
    with open("/hookmon/." + name, "w") as file:
        file.write(str(os.getpid()))
    os.rename("/hookmon/." + name, "/hookmon/" + name)

for number in range(40): work.step(number)
child = os.fork()
if not child:
    for number in range(5): work.step(number)
    wait("on")
    for number in range(7): work.step(number)
    tell("child")
    wait("end")
    os._exit(0)
memory = bytearray(50_000_000)
threading.Thread(target=work.linger, daemon=True).start()
tell("main")
wait("end")
os.waitpid(child, 0)
for number in range(3): work.step(number)
os._exit(9)
"""

DECOY = """
import os, sys, time

wanted = int(sys.argv[1])
while True:
    pid = os.fork()
    if not pid:
        if os.getpid() == wanted:
            time.sleep(60)
        os._exit(0)
    if pid == wanted:
        break
    assert pid < wanted, "its number has gone by"
    os.waitpid(pid, 0)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Makes a process whose pid, in this namespace, is that of the program in its own; then becomes the command."""


class Pod:
    """Two containers with a volume in common. The program's began with higher pids, so the other one comes by each of them."""

    def __init__(self, folder: Path, **kinds: Any) -> None:
        write(folder / "app", {"work.py": WORK, "app.py": APP, "hookmon.toml": WATCH})
        write(folder / "side", {"app/decoy.py": DECOY})
        self.volume = folder / "volume"
        self.volume.mkdir()
        self.volume.chmod(0o777)
        shared = {"volumes": {"/hookmon": self.volume}, "env": {"HOOKMON_FOLDER": "/hookmon"}}
        self.main = Container(folder, limits="for n in $(seq 150); do /bin/true; done", **shared)
        self.side = Container(folder / "side", **(shared | kinds))

    def start(self, command: list[str] = RUN) -> Started:
        """Start the program, and come back when both of its processes have counted."""
        started = self.main.start(command)
        try:
            wait_until((self.volume / "main").exists, "the program")
        except AssertionError:
            started.kill()
            raise
        return started

    def let(self, name: str) -> None:
        """Tell the program to go on."""
        (self.volume / name).touch()

    def pid(self) -> int:
        """Return the pid of the program in its container."""
        return int((self.volume / "main").read_text())

    def look(self, *args: str) -> dict[str, Any]:
        """Return what `hookmon report` says in the other container."""
        done = self.side.hookmon("report", *args, "--format", "json")
        assert done.exit_code == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """A pod of which nothing runs yet."""
    return Pod(tmp_path)


def test_counts_are_there_while_the_program_runs_and_after(pod: Pod) -> None:
    """Exactly, for all processes, in a container that sees none of them."""
    started = pod.start()
    try:
        wait_until(lambda: calls(pod.look(), "work:step") == 45, "45 calls")
        pod.let("on")
        wait_until((pod.volume / "child").exists, "the child")
        seen = pod.look()
        assert (calls(seen, "work:step"), seen["run"]["state"]) == (52, "running")
        assert {row["state"] for row in seen["processes"]} == {"running"}
        assert sorted(row["calls"] for row in seen["processes"]) == [7 + 5, 40]
        assert blind_spots(seen) == []
        pod.let("end")
        assert started.finish().exit_code == 9
    finally:
        if not started.is_finished:
            started.kill()
    seen = pod.look()
    assert (calls(seen, "work:step"), seen["run"]["state"], seen["run"]["exit_code"]) == (55, "finished", 9)
    assert not list(pod.volume.glob("hookmon-*"))


def top(pod: Pod, lines: int = 1, *command: str) -> dict[str, Any]:
    """Return the last of some lines of `hookmon top --json` in the other container."""
    words = " ".join([*command, HOOKMON, "top", "--json", "--interval", "0.3"])
    done = pod.side.run(["sh", "-c", f"{words} | head -n {lines}"])
    shown: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return shown


def test_a_process_here_is_never_taken_for_one_of_there(pod: Pod) -> None:
    """One with the same number runs beside who looks: the figures are those of the program, and its own pid is none."""
    started = pod.start()
    try:
        decoy = ["python", "/app/decoy.py", str(pod.pid())]

        def rows() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = top(pod, 1, *decoy)["processes"]
            return found

        wait_until(lambda: len(rows()) >= 2, "the launcher's first sample to be saved")
        (row,) = [row for row in rows() if row["pid"] == pod.pid()]
        assert row["command"][-1] == "app.py"
        assert (row["calls"], row["rss_bytes"] > 50_000_000, row["threads"]) == (40, True, 2)
        refused = pod.side.run([*decoy, HOOKMON, "top", "--plain", str(pod.pid())])
        assert (refused.exit_code, "not-running" in refused.stderr) == (1, True), refused.stderr
        report = pod.side.run([*decoy, HOOKMON, "report", "--format", "json"])
        (process,) = [row for row in json.loads(report.stdout)["processes"] if row["pid"] == pod.pid()]
        assert (process["state"], process["rss_max_bytes"] > 50_000_000, process["threads_max"]) == ("running", True, 2)
    finally:
        started.kill()


def test_what_is_under_way_is_seen(pod: Pod) -> None:
    """The call that lasts is shown with the process in which it does."""
    started = pod.start()
    try:
        (call,) = [call for call in top(pod)["in_flight"] if call["name"] == "linger"]
        assert call["pid"] == pod.pid()
    finally:
        started.kill()


def test_metrics_are_exported_from_beside(pod: Pod) -> None:
    """With the program's counts; SIGTERM ends the exporter as its container's PID 1, with 0."""
    pytest.importorskip("prometheus_client")
    port = free_port()
    started = pod.start()
    exporter = pod.side.start([HOOKMON, "export", "--prometheus", f"127.0.0.1:{port}"])

    def scraped() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                text: str = answer.read().decode()
        except OSError:
            return ""
        return text

    try:
        wait_until(lambda: 'step"' in scraped(), "the metrics")
        counts = [line for line in scraped().splitlines() if "hookmon_call_count_total{" in line and '"step"' in line]
        assert sum(float(line.rpartition(" ")[2]) for line in counts) == 45, scraped()
        terminate_init(exporter)
        assert exporter.finish().exit_code == 0
    finally:
        started.kill()
        if not exporter.is_finished:
            exporter.kill()


def terminate_init(started: Started, number: int = signal.SIGTERM) -> None:
    """Send a signal to the PID 1 of a container, from outside, as an engine does."""
    os.kill(init_of(started), number)


def test_a_container_that_is_killed_leaves_its_counts(pod: Pod) -> None:
    """As by the kernel for want of memory: the other one reads what was counted to the last call."""
    started = pod.start()
    wait_until(lambda: calls(pod.look(), "work:step") == 45, "45 calls")
    terminate_init(started, signal.SIGKILL)
    started.finish()
    seen = pod.look()
    assert (calls(seen, "work:step"), seen["run"]["state"]) == (45, "recovered")
    assert any(spot.startswith("launcher killed") for spot in blind_spots(seen))


def test_another_user_is_told_whose_it_is(tmp_path: Path) -> None:
    """Files of a run are their user's alone; whoever has another number gets a line that says so."""
    pod = Pod(tmp_path, uid=23_456)
    started = pod.start()
    try:
        done = pod.side.hookmon("report")
        assert done.exit_code == 2
        assert "Permission denied" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        started.kill()


def test_a_run_whose_folder_is_not_shared_is_not_called_dead(tmp_path: Path) -> None:
    """Only what is kept lies in the volume: the report says what is missing, and claims no end that it has not seen."""
    pod = Pod(tmp_path)
    pod.main.env |= {"HOOKMON_FOLDER": "/memory", "XDG_STATE_HOME": "/hookmon/state"}
    pod.side.env |= {"XDG_STATE_HOME": "/hookmon/state"}
    pod.main.memories["/memory"] = "8m"
    started = pod.start()
    try:
        seen = pod.look()
        assert seen["run"]["state"] == "running"
        assert any("not in a volume that is shared" in spot for spot in blind_spots(seen))
    finally:
        started.kill()


def restart(pod: Pod, command: list[str]) -> None:
    """Run something in a new container that has the same volume, as when a container is started again."""
    done = pod.main.run([HOOKMON, "run", "--quiet", "--", *command])
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGKILL, None], ids=["killed", "ended before its last process"])
def test_a_container_that_starts_again_clears_up(number: int | None, pod: Pod) -> None:
    """The run of before is saved, to the last call, and its folder goes: a volume in memory would fill up by and by."""
    started = pod.start()
    wait_until(lambda: calls(pod.look(), "work:step") == 45, "45 calls")
    namespace = os.open(f"/proc/{init_of(started)}/ns/pid", os.O_RDONLY)  # its number is not given again meanwhile
    try:
        if number is None:
            (launcher,) = pod.volume.glob("hookmon-*/lock")
            os.kill(program_of(started), signal.SIGKILL)
            assert started.finish().exit_code == 128 + signal.SIGKILL
            assert launcher.exists()  # the child outlived its parent for a moment
        else:
            terminate_init(started, number)
            started.finish()
        restart(pod, [PYTHON, "-c", "pass"])
    finally:
        os.close(namespace)
    assert not list(pod.volume.glob("hookmon-*"))
    seen = pod.look("1")
    assert calls(seen, "work:step") == 45
    assert (seen["run"]["state"], seen["run"]["exit_code"]) == (("finished", -9) if number is None else ("recovered", None))
    assert not any(spot.startswith("processes") for spot in blind_spots(seen))


def program_of(started: Started) -> int:
    """Return the pid, outside, of the program whose launcher is the PID 1 of a container."""
    init = init_of(started)
    (program,) = Path(f"/proc/{init}/task/{init}/children").read_text().split()
    return int(program)


def test_a_program_whose_launcher_was_killed_is_not_cleared_up(pod: Pod) -> None:
    """Where a shell is PID 1, the program goes on: a container beside it, and one that is new, leave its files to it."""
    started = pod.start(["sh", "-c", f"{' '.join(RUN)}; wait; while [ ! -e /hookmon/over ]; do sleep 0.1; done"])
    (shell,) = [init_of(started)]
    (launcher,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    os.kill(int(launcher), signal.SIGKILL)
    wait_until(lambda: pod.look()["run"]["state"] == "recovered", "the launcher's end")
    restart(pod, [PYTHON, "-c", "pass"])
    pod.let("on")
    wait_until((pod.volume / "child").exists, "the child")
    seen = pod.look("1")
    assert calls(seen, "work:step") == 52
    assert any("whether one still runs cannot be told" in spot for spot in blind_spots(seen))
    pod.let("end")
    wait_until(lambda: calls(pod.look("1"), "work:step") == 55, "the last calls")
    pod.let("over")
    started.finish()


def test_a_service_goes_on_after_its_container_was_killed(pod: Pod) -> None:
    """What the killed start counted and the next one, in a new container, are the calls of the service: none lost, none twice."""
    command = [HOOKMON, "run", "--quiet", "--service", "web", "--"]
    started = pod.start([*command, PYTHON, "app.py"])
    wait_until(lambda: calls(pod.look(), "work:step") == 45, "45 calls")
    terminate_init(started, signal.SIGKILL)
    started.finish()
    last = pod.look("web", "--last", "10m")
    assert calls(last, "work:step") == 45
    done = pod.main.run([*command, PYTHON, "-c", "import work\nfor number in range(5): work.step(number)"])
    assert (done.exit_code, done.stderr) == (0, "")
    for _ in range(2):
        assert calls(pod.look("web", "--last", "10m"), "work:step") == 45 + 5
