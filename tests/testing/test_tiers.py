"""The tiers hold by themselves, and programs of tests begin as a user's shell would begin them."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest
from support.runs import bare_run, write

TESTS = Path(__file__).resolve().parents[1]
SHELLS = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def pytest_in(folder: Path, *options: str) -> str:
    """Run the tests of a folder with the hooks of this suite, and return what pytest says."""
    write(folder, {"pytest.ini": "[pytest]\naddopts = -p no:cacheprovider\nmarkers =\n    process\n    files\n"})
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", *options]
    return bare_run(command, cwd=folder, env={"PYTHONPATH": str(TESTS)}).stdout


STARTS = {
    "a program": "subprocess.run(['true'])",
    "a shell": "os.system('true')",
    "a fork": "os.fork() or os._exit(0)",
    "a fixture's": "request.getfixturevalue('starts')",
    "what is swallowed": "try: subprocess.run(['true'])\n    except BaseException: pass",
    "a connection": "sys.audit('socket.connect', None, ('192.0.2.1', 9))",  # what Python tells before it connects
}
HARMLESS = """
@pytest.mark.process
def test_marked(): subprocess.run(["true"])

def test_own_socket():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()): pass
"""


def test_a_test_that_starts_something_needs_a_marker(tmp_path: Path):
    """Whichever way it starts it; what stays on this machine and in this process needs none."""
    head = "import os, socket, subprocess, sys\nimport pytest\n@pytest.fixture\ndef starts(): subprocess.run(['true'])\n"
    tests = [f"def test_{number}(request):\n    {code}\n" for number, code in enumerate(STARTS.values())]
    write(tmp_path, {"test_starts.py": head + "".join(tests) + HARMLESS})
    said = pytest_in(tmp_path)
    failed = re.findall(r"^FAILED test_starts.py::test_(\d)", said, re.MULTILINE)
    assert sorted(failed) == [str(number) for number in range(len(STARTS))], said
    assert f"{len(STARTS)} failed, 2 passed" in said


def test_a_module_that_starts_something_when_it_is_imported_is_refused(tmp_path: Path):
    """Every tier would wait for it."""
    write(tmp_path, {"test_starts.py": "import subprocess\nsubprocess.run(['true'])\ndef test_nothing(): pass\n"})
    assert "a module of tests starts a process (subprocess.Popen) when it is imported" in pytest_in(tmp_path)


def test_behaviour_and_checks_of_files_are_counted_apart(tmp_path: Path):
    """In the last lines, whatever else there is."""
    program = """
    import pytest

    @pytest.mark.files
    def test_file(): pass
    def test_one(): pass
    def test_other(): assert False
    def test_none(): pytest.skip()
    """
    write(tmp_path, {"test_kinds.py": program})
    assert "2 behaviour tests, 1 checks of files" in pytest_in(tmp_path).splitlines()[-2:]


@pytest.mark.parametrize("options", [[], ["-n", "1"]], ids=["one process", "a worker"])
def test_what_ignored_signals_is_none_of_a_programs_business(tmp_path: Path, options: list[str]):
    """Under `nohup`, or in the background: a program of a test has the dispositions of a foreground job, pytest keeps its own."""
    code = "import signal; print(*[int(signal.getsignal(n) == signal.SIG_IGN) for n in (1, 2, 3)])"
    if options:
        pytest.importorskip("xdist")
    test = f"""
    import os, pytest, signal, subprocess, sys

    @pytest.mark.process
    def test_signals():
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            os.kill(os.getpid(), number)  # as nohup promises, nothing
        assert subprocess.run([sys.executable, "-c", {code!r}], capture_output=True, text=True).stdout == "0 0 0\\n"
    """
    write(tmp_path, {"test_signals.py": test})
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in SHELLS]  # a program begins with these ignored
    try:
        said = pytest_in(tmp_path, *options)
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    assert "1 passed" in said, said
