"""Where shards go: processes that are another user by now, that are in another root, and file systems with little room."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.engines import ENGINES
from support.interpreters import need
from support.runs import HOOKMON, PYTHON, Started, blind_spots, calls, hookmon_run, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

WORK = "def step(number=0): return number\n"
WATCH = watch("work", "step")
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def mount_is_allowed() -> bool:
    """Say whether this process may make a mount namespace with a small tmpfs in it."""
    unshare = shutil.which("unshare")
    test = "mount -t tmpfs -o size=64k tmpfs /dev/shm"
    return bool(unshare) and subprocess.run([unshare, "-m", "sh", "-c", test], capture_output=True, check=False).returncode == 0


GIVE_UP_ROOT = """
    import os, work
    {change}
    for number in range(10): work.step(number)
    for _ in range(3):
        if not os.fork():
            for number in range(5): work.step(number)
            if not os.fork():
                work.step()
                os._exit(0)
            os._exit(os.wait()[1])
        assert os.wait()[1] == 0
"""


@needs_root
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "change",
    [
        f"os.setgid({NOBODY}); os.setuid({NOBODY})",
        f"os.setresuid({NOBODY}, {NOBODY}, 0)",
        f"os.chroot('.'); os.chdir('/'); os.setuid({NOBODY})",
        f"os.fork() and os._exit(os.waitstatus_to_exitcode(os.wait()[1])); os.setuid({NOBODY})",
    ],
    ids=["setuid", "effective user only", "chroot and setuid", "setuid in a fork"],
)
def test_forks_of_who_gave_up_root_are_counted(change: str, engine: str, tmp_path: Path) -> None:
    """As the workers of `celery --uid` are: of the first generation and of the next."""
    write(tmp_path, {"work.py": WORK, "app.py": GIVE_UP_ROOT.format(change=change)})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH, env={"HOOKMON_ENGINE": engine})
    assert (result.exit_code, result.stderr) == (0, "")
    assert calls(result.report, "work:step") == 10 + 3 * (5 + 1)
    assert blind_spots(result.report) == []


@needs_root
def test_a_fork_that_gave_up_root_and_its_descriptors_is_named(tmp_path: Path) -> None:
    """What became a daemon and another user counts on; what it forks then has no way into the run folder."""
    program = f"""
        import os, time, work
        os.setuid({NOBODY})
        os.closerange(3, 4096)
        work.step()
        if not os.fork():
            work.step()
            time.sleep(0.5)
            os._exit(0)
        print(os.wait()[1])
    """
    write(tmp_path, {"work.py": WORK, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    assert (result.stdout, result.stderr, calls(result.report, "work:step")) == ("0\n", "", 1)
    (spot,) = blind_spots(result.report)
    assert "runs as user nobody, to whom the run folder is closed" in spot


@needs_root
def test_nobody_else_gets_at_what_is_recorded(tmp_path: Path) -> None:
    """Another user can neither list the run folder nor make or read a file in it, not by the path of the drop either."""
    program = f"""
        import os, pathlib, stat, work
        work.step()
        folder = pathlib.Path(os.environ["HOOKMON_RUN"])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        if not os.fork():
            os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
            for attempt in (
                lambda: os.listdir(folder),
                lambda: os.listdir(folder / "drop"),
                lambda: os.open(folder / "drop" / "x", os.O_WRONLY | os.O_CREAT, 0o600),
                lambda: os.open(folder / "plan", os.O_RDONLY),
            ):
                try:
                    attempt()
                except PermissionError:
                    continue
                os._exit(1)
            if not os.fork():
                work.step()
                os._exit(0)
            os._exit(os.wait()[1])
        status = os.wait()[1]
        (shard,) = (folder / "drop").iterdir()
        print(status, stat.S_IMODE(shard.stat().st_mode) == 0o600, shard.stat().st_uid)
    """
    write(tmp_path, {"work.py": WORK, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    assert (result.stdout, result.stderr) == (f"0 True {NOBODY}\n", "")
    assert calls(result.report, "work:step") == 2


@needs_root
def test_a_program_that_another_user_executes_is_named(tmp_path: Path) -> None:
    """As in many a container's entry point, `gosu app python …`: it cannot reach the run folder, and runs as ever."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is no Python that other users can reach")
    program = f"""
        import subprocess, work
        work.step()
        code = "import time; time.sleep(0.3); print('ran')"
        subprocess.run(["{python}", "-c", code], user={NOBODY}, group={NOBODY}, extra_groups=[], check=True)
    """
    write(tmp_path, {"work.py": WORK, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    assert (result.stdout, result.exit_code) == ("ran\n", 0)
    (spot,) = blind_spots(result.report)
    assert spot.startswith("not watched: process ")
    assert "runs as user nobody, to whom the run folder is closed" in spot


def run_with_small_memory(folder: Path, size: str, env: dict[str, str | None]) -> Started:
    """Start app.py in `folder` where /dev/shm has only this size."""
    if not mount_is_allowed():
        pytest.skip("no permission here to mount a tmpfs (unshare -m)")
    command = f"mount -t tmpfs -o size={size} tmpfs /dev/shm && "
    command += f"exec {HOOKMON} run --format json --output report.json -- {PYTHON} app.py"
    env = {"XDG_RUNTIME_DIR": None, **env}
    return Started(["unshare", "-m", "sh", "-c", command], cwd=folder, env=env, report_path=folder / "report.json")


def test_a_small_dev_shm_is_left_to_the_program(tmp_path: Path) -> None:
    """64 MiB, as containers have it, may be what the program needs to the last page: the run folder is elsewhere."""
    program = """
        import os, work
        from multiprocessing import shared_memory
        work.step()
        size = os.statvfs("/dev/shm").f_bavail * 4096
        memory = shared_memory.SharedMemory(create=True, size=size)
        memory.buf[:size] = bytes(size)
        memory.unlink()
        work.step()
        print(size == 64 << 20)
    """
    write(tmp_path, {"work.py": WORK, "app.py": program, "hookmon.toml": WATCH})
    result = run_with_small_memory(tmp_path, "64m", {"TMPDIR": str(tmp_path)}).finish()
    assert (result.stdout, result.exit_code) == ("True\n", 0)
    assert calls(result.report, "work:step") == 2


def test_a_share_of_the_file_system_is_left_where_there_is_no_other(tmp_path: Path) -> None:
    """A shard ends to grow before the last quarter is taken, and no more shards are made then: said in the report."""
    program = """
        import os, work
        def free():
            status = os.statvfs("/dev/shm")
            return status.f_bavail / status.f_blocks
        for number in range(9000): work.step(number)
        first = free()
        for _ in range(30):
            if not os.fork():
                work.step(1)
                os._exit(0)
            os.wait()
        print(first >= 0.25, free() >= 0.25, free() < 0.9)
    """
    config = watch("work", "step", span="step {number}")
    write(tmp_path, {"work.py": WORK, "app.py": program, "hookmon.toml": config})
    result = run_with_small_memory(tmp_path, "1500k", {"TMPDIR": "/dev/shm"}).finish()
    assert (result.stdout, result.exit_code) == ("True True True\n", 0)
    assert any(spot.startswith("shard full") for spot in blind_spots(result.report))


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_an_interpreter_that_ends_takes_its_descriptor_along(tmp_path: Path, version: str) -> None:
    """A program may make and end many of them in one process; each has a shard of its own, and all is counted.

    What they hold in common, the folder for who gives up root, is opened by the first.
    """
    program = """
        import os
        try:
            import _interpreters
            execute = _interpreters.exec
        except ImportError:
            import _xxsubinterpreters as _interpreters
            execute = _interpreters.run_string
        for turn in range(8):
            interpreter = _interpreters.create()
            failed = execute(interpreter, "import sys; sys.path.insert(0, '.'); import work; work.step()")
            assert failed is None, failed
            _interpreters.destroy(interpreter)
            if turn in (0, 7):
                print(len(os.listdir("/proc/self/fd")))
    """
    write(tmp_path, {"work.py": WORK, "app.py": program})
    result = hookmon_run([need(version), "app.py"], cwd=tmp_path, config=WATCH)
    first, last = result.stdout.split()
    assert first == last
    assert calls(result.report, "work:step") == 8
