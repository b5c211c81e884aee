"""Sampled stacks added up: what is put back, what is left out, and that there is an end to it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from hookmon.collector import pyspy, samples, sources
from hookmon.collector.pyspy import parse
from hookmon.collector.samples import Frame, SampledFrame, SampledStack, Stacks, Window
from hookmon.collector.store import Run, RunFile

MAIN = Frame("<module>", "app.py", 40)
ONE = Frame("one", "app.py", 10)
TWO = Frame("two", "app.py", 20)
STEPS = Frame("steps", "app.py", 30)


def counted(stacks: Stacks) -> dict[tuple[str, ...], int]:
    """Return the names of the functions of each stack, and how often it was seen."""
    frames, rows = stacks.rows()
    return {tuple(frames[at].function for at in row.frames): row.samples for row in rows}


def test_equal_stacks_are_one_row():
    """Over all windows, most samples first."""
    stacks = Stacks()
    stacks.add(Window([(MAIN, ONE), (MAIN, TWO), (MAIN, TWO)]))
    assert stacks.add(Window([(MAIN, TWO)])) == (1, 0)
    frames, rows = stacks.rows()
    assert rows == [SampledStack([0, 1], 3), SampledStack([0, 2], 1)]
    assert frames == [SampledFrame(*MAIN), SampledFrame(*TWO), SampledFrame(*ONE)]


def test_a_stack_without_its_beginning_gets_it_from_the_others_by_their_weights():
    """A generator that was suspended while it was read has nobody above it, and stands in the midst of whole stacks."""
    stacks = Stacks()
    whole = [(MAIN, ONE, STEPS)] * 30 + [(MAIN, TWO, STEPS)] * 10
    assert stacks.add(Window(whole + [(STEPS,)] * 8)) == (48, 8)
    assert counted(stacks) == {("<module>", "one", "steps"): 36, ("<module>", "two", "steps"): 12}


def test_what_begins_more_often_than_it_is_called_is_a_beginning():
    """As the function of a greenlet that is also called now and then."""
    stacks = Stacks()
    assert stacks.add(Window([(ONE, TWO)] * 5 + [(MAIN, ONE)])) == (6, 0)
    assert counted(stacks) == {("one", "two"): 5, ("<module>", "one"): 1}


def test_an_empty_stack_is_no_sample():
    """A thread that is just beginning has no frame."""
    stacks = Stacks()
    assert stacks.add(Window([(), (MAIN,)])) == (1, 0)


def test_frames_of_ours_are_left_out():
    """So the line that calls a wrapper is where the wrapper's time is."""
    own = Frame("timed", f"{Path(samples.__file__).resolve().parents[1]}/probe/wrappers/calls.py", 90)
    hidden = Frame("method", "<frozen importlib._bootstrap of hookmon>", 45)
    stacks = Stacks()
    finder = Frame("Finder._hook.<locals>.execute", "<frozen importlib._bootstrap_external>", 83)
    stacks.add(Window([(MAIN, own, ONE), (MAIN, finder, ONE), (MAIN, ONE, hidden), (own,)]))
    assert counted(stacks) == {("<module>", "one"): 3}


def test_a_recursion_takes_the_room_of_one_call():
    """A frame that repeats itself stands once; of what is deep all the same the midst is left out."""
    stacks = Stacks()
    deep = tuple(Frame(f"level{number}", "app.py", number) for number in range(500))
    stacks.add(Window([(MAIN, *[ONE] * 900, TWO), (MAIN, *deep)]))
    found = sorted(counted(stacks), key=len)
    assert found[0] == ("<module>", "one", "two")
    assert found[1][0] == "<module>"
    assert found[1][-1] == "level499"
    assert len(found[1]) < 200


def test_rare_stacks_become_one_where_there_are_too_many():
    """The sum stays, and so does what is seen often."""
    stacks = Stacks()
    many = [(MAIN, Frame("rare", "app.py", number)) for number in range(samples.MOST_STACKS + 100)]
    stacks.add(Window([(MAIN, ONE)] * 50 + many))
    frames, rows = stacks.rows()
    assert len(rows) <= samples.MOST_STACKS
    assert len(frames) <= samples.MOST_FRAMES + 1
    assert sum(row.samples for row in rows) == 50 + len(many)
    assert counted(stacks)["<module>", "one"] == 50
    assert counted(stacks)["(other)",] > 0


def test_the_first_line_of_a_function_is_that_of_its_decorator(tmp_path: Path):
    """As in co_firstlineno; of functions of one name the innermost around the line counts."""
    path = tmp_path / "app.py"
    path.write_text("import functools\n\n@functools.cache\ndef work():\n    def work():\n        return 1\n    return work()\n")
    functions = sources.functions_of(str(path))
    assert [sources.first_line(functions, "work", line) for line in (4, 7)] == [3, 3]
    assert sources.first_line(functions, "work.<locals>.work", 6) == 5
    assert sources.first_line(functions, "other", 6) == 0


@pytest.mark.parametrize("content", [b"def (", b"\0", b"\xff\xfe\xfd"], ids=["syntax", "zero", "bytes"])
def test_a_source_that_cannot_be_compiled_has_no_functions(tmp_path: Path, content: bytes):
    """It is of another version of Python, or no source at all."""
    (tmp_path / "app.py").write_bytes(content)
    assert sources.functions_of(str(tmp_path / "app.py")) == {}
    assert sources.functions_of(str(tmp_path / "missing.py")) == {}
    assert sources.functions_of(str(tmp_path)) == {}


def test_a_run_file_of_before_has_no_samples(tmp_path: Path):
    """It can be read all the same."""
    run_file = RunFile(tmp_path / "run-0001.sqlite")
    run = Run(1, "", ["python"], "2026-01-01T00:00:00+00:00", "1.0")
    run.sampled_frames, run.sampled_stacks = [SampledFrame(*MAIN, 1)], [SampledStack([0], 3)]
    run_file.save(run)
    assert run_file.load().sampled_stacks == run.sampled_stacks
    assert run_file.load().sampled_frames == run.sampled_frames
    connection = sqlite3.connect(run_file.path)
    for table in samples.TABLES:
        connection.execute(f"DROP TABLE {table}")
    connection.commit()
    connection.close()
    assert run_file.load().sampled_stacks == []


def test_where_there_is_no_py_spy_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Neither in hookmon's own environment nor on PATH."""
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pyspy.why_not() == "py-spy is not installed: pip install 'hookmon[samples]'"


@pytest.mark.parametrize(
    ("scope", "capabilities", "needed"),
    [("", 0, False), ("0", 0, False), ("1", 0, True), ("1", 1 << 19, False), ("1", 0x1FFFFFFFFFF, False), ("2", 0, False)],
)
def test_a_program_is_asked_for_its_consent_only_where_that_helps(scope: str, capabilities: int, needed: bool):
    """By Yama's rules: with ptrace_scope 1, unless the launcher may read everything (CAP_SYS_PTRACE)."""
    assert pyspy.needs_consent(scope, capabilities) is needed


@pytest.mark.process
@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
def test_a_program_and_its_forks_name_the_launcher_as_their_tracer(tmp_path: Path):
    """By the system call that Yama looks at, and without ctypes."""
    program = """
import os, sys
from hookmon.probe.tracer import allow
allow(4711)
if not os.fork(): os._exit(0)
os.wait()
print("ctypes" in sys.modules)
"""
    log = tmp_path / "log"
    result = subprocess.run(
        ["strace", "-f", "-e", "trace=prctl", "-o", str(log), sys.executable, "-c", program], capture_output=True, text=True
    )
    if "attach" in result.stderr or "PTRACE" in result.stderr:
        pytest.skip(f"strace may not trace here: {result.stderr}")
    assert result.stdout == "False\n"
    assert len(re.findall(r"PR_SET_PTRACER, 4711", log.read_text())) == 2


@pytest.mark.parametrize("content", [b"", b"[]", b'{"shared": {"frames": []}, "profiles": [{"samples": [[3]]}]}'])
def test_what_is_no_record_is_refused(content: bytes):
    """With an exception that says so."""
    with pytest.raises((ValueError, LookupError, TypeError)):
        parse(content)


def ended(recording: pyspy.Recording) -> tuple[Window | None, str]:
    deadline = time.monotonic() + 60
    while not recording.has_ended():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return recording.take()


@pytest.mark.process
@pytest.mark.skipif(bool(pyspy.why_not()), reason=f"nothing can be sampled: {pyspy.why_not()} (py-spy)")
def test_a_process_that_is_no_python_gives_a_reason(tmp_path: Path):
    """In words of ours, on one line; no file stays."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        window, reason = ended(pyspy.Recording(pyspy.find(), process.pid, 100, tmp_path / "1-1"))
    finally:
        process.kill()
        process.wait()
    assert window is None
    assert reason == "py-spy finds no interpreter in it: it is linked in a way that it does not know"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
@pytest.mark.skipif(bool(pyspy.why_not()), reason=f"nothing can be sampled: {pyspy.why_not()} (py-spy)")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start py-spy as somebody else")
def test_a_process_of_another_user_gives_a_reason(tmp_path: Path):
    """It is root's, and py-spy is nobody's."""
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    program = tmp_path / "py-spy-as-nobody"
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups {pyspy.find()} "$@"\n')
    program.chmod(0o755)
    window, reason = ended(pyspy.Recording(str(program), os.getpid(), 100, tmp_path / "1-1"))
    assert window is None
    assert reason.startswith("it may not be read: ")


@pytest.mark.process
@pytest.mark.skipif(bool(pyspy.why_not()), reason=f"nothing can be sampled: {pyspy.why_not()} (py-spy)")
def test_a_recording_that_is_told_to_stop_gives_what_it_has(tmp_path: Path):
    """And its processor time is known."""
    process = subprocess.Popen([sys.executable, "-c", "def work():\n    while True: pass\nwork()"])
    try:
        recording = pyspy.Recording(pyspy.find(), process.pid, 100, tmp_path / "1-1")
        time.sleep(1.5)
        recording.look_at_cost()
        recording.stop(signal.SIGINT)
        window, reason = ended(recording)
    finally:
        process.kill()
        process.wait()
    assert reason == ""
    assert "work" in {frame.function for stack in window.stacks for frame in stack}
    assert recording.cpu_ns >= 0
