"""In containers: any user, no home, a root that cannot be written, little memory or none to share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.containers import NOBODY_KNOWN, Container, memory_limit
from support.runs import HOOKMON, PYTHON, blind_spots, calls, watch, write

WORK = "def step(number=0):\n    return number\n"
WATCH = watch("work", "step")
APP = """
import os, work
for number in range(7): work.step(number)
if not os.fork():
    for number in range(5): work.step(number)
    os._exit(0)
os.wait()
print(os.getuid(), os.environ.get("HOME"))
"""
RUN = [HOOKMON, "run", "--format", "json", "--output", "/out/report.json", "--", PYTHON]


@pytest.fixture
def container(tmp_path: Path) -> Container:
    """A container with the program, and a volume for its report; nothing else can be written."""
    write(tmp_path / "app", {"work.py": WORK, "app.py": APP, "hookmon.toml": WATCH})
    return Container(tmp_path, volumes={"/out": volume(tmp_path / "out")})


def volume(folder: Path, mode: int = 0o777) -> Path:
    """Make a folder that is to be a volume. Platforms leave them open to all users of a pod."""
    folder.mkdir()
    folder.chmod(mode)
    return folder


def saved(container: Container) -> dict[str, Any]:
    """Return the report that a run in a container has written."""
    report: dict[str, Any] = json.loads((container.folder / "out" / "report.json").read_text())
    return report


def check_counts(container: Container, said: str = f"{NOBODY_KNOWN} None\n") -> dict[str, Any]:
    """Run the program and return its report, after a look at the counts and at what it printed."""
    done = container.run([*RUN, "app.py"])
    assert (done.stdout, done.exit_code) == (said, 0), done.stderr
    report = saved(container)
    assert calls(report, "work:step") == 12
    assert blind_spots(report) == []
    return report


@pytest.mark.parametrize("home", [None, "/", ""], ids=["no home", "home is the top", "home is empty"])
def test_any_user_may_run_where_only_a_volume_can_be_written(home: str | None, container: Container, tmp_path: Path) -> None:
    """A number without an entry in passwd, as OpenShift gives one; the run is kept in the volume, closed to others."""
    container.volumes["/hookmon"] = volume(tmp_path / "volume")
    container.env = {"HOOKMON_FOLDER": "/hookmon"} | ({} if home is None else {"HOME": home})
    check_counts(container, f"{NOBODY_KNOWN} {home}\n")
    kept = tmp_path / "volume" / "runs" / "run-0001.sqlite"
    assert (kept.stat().st_mode & 0o777, kept.stat().st_uid) == (0o600, NOBODY_KNOWN)
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert not list((tmp_path / "volume").glob("hookmon-*"))
    assert calls(json.loads(container.hookmon("report", "--format", "json").stdout), "work:step") == 12


def test_a_volume_may_hand_its_group_on(container: Container, tmp_path: Path) -> None:
    """With fsGroup, Kubernetes gives it the group and the set-group-ID bit, which every folder in it inherits."""
    container.gid = 0
    container.volumes["/hookmon"] = volume(tmp_path / "volume", 0o2777)
    container.env = {"HOOKMON_FOLDER": "/hookmon/made"}
    check_counts(container)


def test_a_project_that_the_group_of_root_may_write_keeps_its_runs(container: Container, tmp_path: Path) -> None:
    """As OpenShift's guidelines have it: files belong to group 0, and any user is in it."""
    container.memories["/tmp"] = "8m"
    container.is_app_writable = True
    (tmp_path / "app").chmod(0o770)
    check_counts(container)
    assert (tmp_path / "app" / ".hookmon" / "run-0001.sqlite").exists()


def test_without_a_place_for_runs_the_report_comes_all_the_same(container: Container) -> None:
    """Only /tmp can be written: one line says that the run is not kept."""
    container.memories["/tmp"] = "8m"
    done = container.run([*RUN, "app.py"])
    assert (done.stdout, done.exit_code) == (f"{NOBODY_KNOWN} None\n", 0)
    (line,) = done.stderr.splitlines()
    assert "runs cannot be kept here: Read-only file system; this run is reported and not kept" in line
    assert calls(saved(container), "work:step") == 12


@pytest.mark.parametrize("memories", [{}, {"/dev/shm": "64k"}], ids=["no /dev/shm", "64 KB of it"])
def test_without_any_place_the_program_runs_unwatched(memories: dict[str, str], container: Container) -> None:
    """Neither /dev/shm with room for it, nor a temporary folder: one line says so, and where one can be named."""
    container.memories = memories
    done = container.run([*RUN, "app.py"])
    assert (done.stdout, done.exit_code) == (f"{NOBODY_KNOWN} None\n", 0)
    (line,) = done.stderr.splitlines()
    assert line.startswith("hookmon: the run cannot be prepared: ")
    assert line.endswith("the program runs unwatched [no-run-folder]")


def test_a_tiny_dev_shm_is_left_alone_where_there_is_another_place(container: Container) -> None:
    """64 KB take no plan and no shard; the files of the run are in /tmp."""
    container.memories = {"/dev/shm": "64k", "/tmp": "8m"}
    done = container.run([*RUN, "app.py"])
    assert done.exit_code == 0
    assert calls(saved(container), "work:step") == 12


@pytest.mark.parametrize("size", ["64k", "256k", "1m", "4m"])
def test_a_volume_of_any_size_never_ends_the_program(size: str, container: Container) -> None:
    """What finds no room is not recorded, and said; the program never meets a page that cannot be had."""
    container.memories["/hookmon"] = size
    container.env = {"HOOKMON_FOLDER": "/hookmon"}
    done = container.run([*RUN, "app.py"])
    assert (done.stdout, done.exit_code) == (f"{NOBODY_KNOWN} None\n", 0)
    if size == "4m":
        assert calls(saved(container), "work:step") == 12
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("mount", "reason"),
    [(None, "Read-only file system"), ("root's", "Permission denied"), ("a file", "File exists")],
)
def test_a_named_folder_that_cannot_be_used_is_told(mount: str | None, reason: str, container: Container, tmp_path: Path) -> None:
    """Nothing else is taken in its place, as nobody would look there; the program runs."""
    container.memories["/tmp"] = "8m"
    container.env = {"HOOKMON_FOLDER": "/hookmon"}
    if mount == "root's":
        container.volumes["/hookmon"] = volume(tmp_path / "volume", 0o700)
    elif mount == "a file":
        container.env = {"HOOKMON_FOLDER": "/app/app.py"}
    done = container.run([*RUN, "app.py"])
    assert (done.stdout, done.exit_code) == (f"{NOBODY_KNOWN} None\n", 0)
    (line,) = done.stderr.splitlines()
    assert f"HOOKMON_FOLDER: {container.env['HOOKMON_FOLDER']} cannot be used: {reason}" in line
    assert "[no-run-folder]" in line


MANY = """
import os, work
for number in range(1000): work.step(number)
for _ in range(2):
    if not os.fork():
        for number in range(1000): work.step(number)
        os._exit(0)
for _ in range(2): os.wait()
print("done")
"""


def test_a_launcher_and_a_small_program_live_in_64_mb(container: Container) -> None:
    """With the files of the run, which lie in memory and count as well: the kernel has nobody to kill."""
    container.memories["/hookmon"] = "16m"
    container.env = {"HOOKMON_FOLDER": "/hookmon"}
    write(container.folder / "app", {"app.py": MANY})
    with memory_limit(64 << 20) as (container.limits, events):
        done = container.run([*RUN, "app.py"])
        killed = dict(line.split() for line in events.read_text().splitlines())["oom_kill"]
    assert (done.stdout, done.exit_code, killed) == ("done\n", 0, "0"), done.stderr
    assert calls(saved(container), "work:step") == 3_000


@pytest.mark.parametrize("size_bytes", [64_000_000, 48_000_000])
def test_few_addresses_are_enough(size_bytes: int, container: Container) -> None:
    """`ulimit -v`, which shards and launcher heed: it was 89 MB when a configuration was read with room for the largest."""
    container.memories["/hookmon"] = "16m"
    container.env = {"HOOKMON_FOLDER": "/hookmon"}
    write(container.folder / "app", {"app.py": MANY})
    done = container.run(["prlimit", f"--as={size_bytes}", *RUN, "app.py"])
    assert (done.stdout, done.exit_code, done.stderr) == ("done\n", 0, "")
    assert calls(saved(container), "work:step") == 3_000


def test_too_few_addresses_are_told(container: Container) -> None:
    """Where the launcher itself cannot live, one line says so, with the exit code for its own failures."""
    codes = set()
    for size_bytes in range(20_000_000, 40_000_000, 4_000_000):
        done = container.run(["prlimit", f"--as={size_bytes}", HOOKMON, "run", "--quiet", "--", PYTHON, "app.py"])
        codes.add(done.exit_code)
        if done.exit_code == 125:
            assert done.stderr.endswith("[memory]\n") or "cannot be imported" in done.stderr, done.stderr
    assert 0 in codes


FILLING = """
import os, work
def fill():
    with open("/hookmon/of the program", "ab", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return

for number in range(100): work.step(number)
fill()
for number in range(3000): work.step(number)
for _ in range(3):
    if not os.fork():
        for number in range(10): work.step(number)
        os._exit(0)
    os.wait()
print("done", os.statvfs("/hookmon").f_bavail)
"""


@pytest.mark.parametrize("span", ["step", "step {number}"], ids=["one name", "three thousand names"])
@pytest.mark.parametrize("kept", ["/hookmon/state", "/out/state"], ids=["runs in it", "runs elsewhere"])
def test_a_volume_that_becomes_full_ends_nothing(kept: str, span: str, container: Container) -> None:
    """By the program itself, to the last page: it goes on, what was counted before is there, and what was not is said."""
    container.memories["/hookmon"] = "4m"
    container.env = {"HOOKMON_FOLDER": "/hookmon", "XDG_STATE_HOME": kept}
    write(container.folder / "app", {"app.py": FILLING, "hookmon.toml": watch("work", "step", span=span)})
    done = container.run([*RUN, "app.py"])
    assert (done.stdout, done.exit_code) == ("done 0\n", 0), done.stderr
    assert "Traceback" not in done.stderr
    report = saved(container)
    counted = sum(row["calls"] for row in report["calls"] if row["target"] == "work:step")
    spots = dict(spot.split(": ", 1) for spot in blind_spots(report))
    assert "/hookmon was too full for another process" in spots["no room"]
    if span == "step":
        assert (counted, "shard full" in spots) == (3_100, False)
    else:
        lost = int(spots["shard full"].partition("but for ")[2].split()[0].replace(",", ""))
        assert counted + lost == 3_100
