"""Real programs that nobody starts by `hookmon run`, or that outlive it: servers, workers, notebooks, archives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import zipapp
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support import containers
from support.backends import free_port
from support.interpreters import base_python, new_virtualenv
from support.runs import HOOKMON, PYTHON, Started, blind_spots, calls, environment, hookmon_run, wait_until, write
from support.served import CONFIG, PROGRAM, WORK, Place
from support.servers import Valkey


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    made.share_packages()
    yield made
    made.stop()


@pytest.fixture
def collector(place: Place) -> Iterator[Started]:
    """A collector in the foreground."""
    started = Started([HOOKMON, "serve"], cwd=place.folder, env={**place.env, "HOOKMON": None})
    wait_until(lambda: place.status() is not None, "the collector")
    yield started
    place.stop()
    assert started.finish().exit_code == 0


APP = """
import work

def app(environ, start_response):
    work.step()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def ask(port: int, times: int) -> None:
    """Send requests to a server, once it answers."""

    def answers() -> bool:
        with suppress(OSError):
            return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read() == b"ok")
        return False

    wait_until(answers, "the server")
    for _ in range(times - 1):
        assert answers()


def end_daemon(pid_file: Path) -> None:
    """End a daemon by its pid file, and wait for it."""
    process = psutil.Process(int(pid_file.read_text()))
    process.terminate()
    process.wait(60)


@pytest.mark.parametrize("launcher", ["HOOKMON=1", "hookmon run"])
def test_gunicorn_as_a_daemon(launcher: str, place: Place, collector: Started) -> None:
    """Its master leaves the launcher by a double fork, and its workers count."""
    pytest.importorskip("gunicorn")
    write(place.folder, {"app.py": APP})
    port = free_port()
    command = [*("-m", "gunicorn", "--daemon", "-w", "2", "-b", f"127.0.0.1:{port}", "--pid", "pid", "app:app")]
    if launcher == "HOOKMON=1":
        assert place.run(*command).exit_code == 0
    else:
        env: dict[str, str | None] = {**place.env, "HOOKMON": None}
        assert hookmon_run([str(place.python), *command], cwd=place.folder, env=env).exit_code == 0
    ask(port, 25)
    assert calls(place.report(), "work:step") == 25
    ask(port, 25)
    end_daemon(place.folder / "pid")
    found = place.wait_for_end()
    assert (calls(found, "work:step"), found["run"]["state"], blind_spots(found)) == (50, "finished", [])


TASKS = """
import celery, os, redis, work
app = celery.Celery(broker=os.environ["BROKER"])

@app.task
def count():
    work.step()
    redis.Redis.from_url(os.environ["BROKER"]).incr("counted")
"""


@pytest.mark.parametrize("launcher", ["HOOKMON=1", "hookmon run"])
def test_celery_multi(launcher: str, place: Place, collector: Started, valkey: Valkey) -> None:
    """Two workers that detach themselves, and are stopped by another command."""
    pytest.importorskip("celery")
    redis = pytest.importorskip("redis")
    write(place.folder, {"tasks.py": TASKS})
    env: dict[str, str | None] = {**place.env, "BROKER": valkey.url}
    where = ["--pidfile=%n.pid", "--logfile=%n.log"]
    command = ["-m", "celery", "-A", "tasks", "multi", "start", "w1", "w2", "-c", "1", *where]
    if launcher == "HOOKMON=1":
        assert place.run(*command, env=env).exit_code == 0
    else:
        assert hookmon_run([str(place.python), *command], cwd=place.folder, env={**env, "HOOKMON": None}).exit_code == 0
    send = "import tasks\nfor _ in range(40): tasks.count.delay()\n"
    assert place.run("-c", send, env={**env, "HOOKMON": None}).exit_code == 0
    client = redis.Redis.from_url(valkey.url)
    wait_until(lambda: int(client.get("counted") or 0) == 40, "the tasks")
    client.close()
    stop = ["-m", "celery", "-A", "tasks", "multi", "stopwait", "w1", "w2", *where]
    assert place.run(*stop, env={**env, "HOOKMON": None}).exit_code == 0
    found = place.wait_for_end()
    assert (calls(found, "work:step"), found["run"]["state"], blind_spots(found)) == (40, "finished", [])


KERNEL = """
import json, os, sys
from jupyter_client.manager import KernelManager
manager = KernelManager()
manager._kernel_spec = manager.kernel_spec_manager.kernel_spec_class(
    argv=[sys.argv[1], "-m", "ipykernel_launcher", "-f", "{connection_file}"], env={"HOOKMON": "1"}, language="python"
)
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=60)
for code in ("import work", "for number in range(11): work.step(number)"):
    answer = client.execute_interactive(code, timeout=60)
    assert answer["content"]["status"] == "ok", answer
client.stop_channels()
manager.shutdown_kernel()
"""


def test_the_kernel_of_a_notebook(place: Place) -> None:
    """Its cells import and call; the variable is in the kernel's own environment, as kernel.json has it."""
    for name in ("ipykernel", "jupyter_client"):
        pytest.importorskip(name)
    done = place.run("-c", KERNEL, str(place.python), env={"HOOKMON": None})
    assert done.exit_code == 0, done.stderr
    found = place.wait_for_end()
    assert calls(found, "work:step") == 11
    assert "ipykernel_launcher" in found["run"]["command"]


def test_an_archive_of_python(place: Place) -> None:
    """A zipapp with a first line that isolates its interpreter, started by its own name."""
    write(place.folder, {"source/__main__.py": PROGRAM.replace("'.'", repr(str(place.folder)))})
    zipapp.create_archive(place.folder / "source", place.folder / "app.pyz", interpreter=f"{place.python} -sE")
    done = Started([str(place.folder / "app.pyz")], cwd=place.folder, env=place.env).finish()
    assert done.seen == ("", "", 0)
    assert calls(place.wait_for_end(), "work:step") == 7


EMBEDDING = r"""
#include <Python.h>

int main(int argc, char **argv)
{
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    PyConfig_SetBytesString(&config, &config.executable, argv[1]);
    PyConfig_SetBytesString(&config, &config.program_name, argv[1]);
    if (PyStatus_Exception(Py_InitializeFromConfig(&config)))
        return 3;
    PyThreadState *first = PyThreadState_Get();
    const char *code = "import sys; sys.path.insert(0, '.'); import work\nfor number in range(7): work.step(number)\n";
    int is_bad = 0;
    for (int number = 0; number < 2; number++) {
        PyThreadState *other = Py_NewInterpreter();
        is_bad |= PyRun_SimpleString(code);
        Py_EndInterpreter(other);
        PyThreadState_Swap(first);
    }
    is_bad |= PyRun_SimpleString(code);
    return Py_FinalizeEx() || is_bad;
}
"""


@pytest.mark.parametrize("launcher", ["HOOKMON=1", "hookmon run"])
def test_a_program_with_python_inside(launcher: str, place: Place) -> None:
    """As mod_wsgi is one: its interpreter, and two more in the same process, are of one run."""
    library, version = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LDVERSION")
    compiler = shutil.which("gcc")
    write(place.folder, {"embedding.c": EMBEDDING})
    build = [str(compiler), "embedding.c", "-o", "embedding", f"-I{sysconfig.get_path('include')}", f"-L{library}", "-Wl,-E"]
    build += [f"-Wl,-rpath,{library}", f"-lpython{version}", "-lm", "-ldl", "-lpthread", "-lutil"]
    if compiler is None or subprocess.run(build, cwd=place.folder, capture_output=True, check=False).returncode:
        pytest.skip("there is no compiler here, or no library of this Python to be linked with")
    command = [str(place.folder / "embedding"), str(place.python)]
    if launcher == "HOOKMON=1":
        assert Started(command, cwd=place.folder, env=place.env).finish().seen == ("", "", 0)
        found = place.wait_for_end()
    else:
        found = hookmon_run(command, cwd=place.folder, env={**place.env, "HOOKMON": None}).report
    assert (calls(found, "work:step"), blind_spots(found), len(found["processes"])) == (21, [], 1)


def new_base_python(folder: Path) -> Path:
    """Make an interpreter that is no virtual environment, with the standard library of this one and site-packages of its own."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = folder / "lib" / name
    (library / "site-packages").mkdir(parents=True)
    for entry in Path(os.__file__).parent.iterdir():
        if entry.name != "site-packages":
            (library / entry.name).symlink_to(entry)
    (folder / "bin").mkdir()
    shutil.copyfile(os.path.realpath(base_python()), folder / "bin" / name)
    (folder / "bin" / name).chmod(0o755)
    return folder / "bin" / name


def test_a_pex(place: Place, tmp_path: Path) -> None:
    """It leaves the environment that starts it for the interpreter which that was made from: with a door there it is seen."""
    pytest.importorskip("pex")
    base = new_base_python(tmp_path / "base")
    python = new_virtualenv(tmp_path / "of-base", str(base))
    write(place.folder, {"source/main.py": PROGRAM.replace("'.'", repr(str(place.folder)))})
    archive = str(place.folder / "app.pex")
    env: dict[str, str | None] = {**place.env, "PEX_ROOT": str(place.folder / "pex-root"), "HOOKMON": None}
    build = [PYTHON, "-m", "pex", "-D", "source", "-m", "main", "--python", str(python), "-o", archive]
    subprocess.run(build, cwd=place.folder, env=environment(place.folder, env), check=True, capture_output=True)
    assert place.verb("enable", "--venv", str(python)).exit_code == 0
    for is_enabled in (False, True):
        if is_enabled:
            assert place.verb("enable", "--venv", str(base)).exit_code == 0
        asked = json.loads(place.verb("doctor", "--json", str(python), archive).stdout)
        assert asked["watched"] is is_enabled
        done = hookmon_run([str(python), archive], cwd=place.folder, env=env)
        assert (done.stdout, done.stderr, done.exit_code) == ("", "", 0)
        assert calls(done.report, "work:step") == 7 * is_enabled
    done = Started([str(python), archive], cwd=place.folder, env={**env, "HOOKMON": "1"}).finish()
    assert done.seen == ("", "", 0)
    assert calls(place.wait_for_end(3), "work:step") == 7


def test_a_program_that_is_the_first_of_its_container(tmp_path: Path) -> None:
    """PID 1 would be the parent of any collector: it gets a run, has no child, and what it counted is read afterwards."""
    containers.need()
    place = Place(tmp_path / "app")
    after = "import os\ntry: os.waitpid(-1, 0)\nexcept ChildProcessError: print('none', os.getpid())\n"
    write(tmp_path / "app", {"work.py": WORK, "hookmon.toml": CONFIG, "app.py": PROGRAM + after})
    volume = tmp_path / "files"
    volume.mkdir()
    volume.chmod(0o777)
    env = {"HOOKMON_FOLDER": "/files", "HOOKMON": "1", "HOOKMON_WAIT": "30"}
    container = containers.Container(tmp_path, volumes={"/files": volume})
    inside = "/app/venv/bin/python"
    assert place.python.exists()
    try:
        done = container.run([inside, "-I", "app.py"], env=env)
        assert (done.stdout, done.stderr, done.exit_code) == ("none 1\n", "", 0)
        reported = container.hookmon("report", "last", "--json", env={"HOOKMON_FOLDER": "/files"})
        assert reported.exit_code == 0, reported.stderr
        assert calls(json.loads(reported.stdout), "work:step") == 7
    finally:
        container.end()
