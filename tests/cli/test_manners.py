"""How every verb behaves on pipes, narrow screens, in other locales and with hostile names."""

from __future__ import annotations

import marshal
import os
import re
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import runs
from support.kept_services import Keeper, fill, store_of
from support.launcher import LaunchServer
from support.runs import HOOKMON, environment, hookmon

from hookmon.cli._verbs import hookmon as command_line
from hookmon.collector.store import Node, Run, Store

pytestmark = pytest.mark.usefixtures("warm_launcher")

HOSTILE = "\x1b[31mred\u202e<script>\nline\r\x07"

SERVICE = "größe"

VERBS = {
    "runs": ["runs"],
    "config": ["config", "--all"],
    "doctor": ["doctor", sys.executable, "app.py"],
    "help": ["help"],
    "help of a code": ["help", "not-watched"],
    "report": ["report"],
    "report of everything": ["report", "--all"],
    "markdown": ["report", "--format", "markdown"],
    "collapsed": ["report", "--format", "collapsed"],
    "json": ["report", "--json"],
    "list as json": ["runs", "--json"],
    "diff": ["diff", "1", "1", "--all"],
    "diff as markdown": ["diff", "1", "1", "--all", "--format", "markdown"],
    "diff as json": ["diff", "1", "1", "--json"],
    "check": ["check"],
    "check as markdown": ["check", "--format", "markdown"],
    "check as junit": ["check", "--format", "junit"],
    "check for github": ["check", "--format", "github"],
    "check for gitlab": ["check", "--format", "gitlab"],
    "check as json": ["check", "--json"],
    "history": ["history"],
    "history of a transaction": ["history", "--transaction", HOSTILE],
    "history as json": ["history", "--json"],
    "report of a service": ["report", SERVICE, "--last", "10m"],
    "diff of a service": ["diff", SERVICE, "--last", "10m", "--against", "10m", "--all"],
    "schema": ["config", "--schema"],
    "codes as json": ["help", "--json"],
    "completion": ["completion", "zsh"],
}


STARTED_FOR_REAL = ("report", "runs")
"""The pipe is the same for every verb, and what the interpreter makes of it at its start as well."""

NO_UNICODE = {"LC_ALL": "POSIX", "LANG": None, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def launcher_without_unicode() -> Iterator[LaunchServer]:
    """`hookmon`, warm, from an interpreter that was started in that locale."""
    server = LaunchServer(environment(Path("/"), NO_UNICODE))
    yield server
    server.stop()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose run and configuration are full of what a terminal would act on."""
    (tmp_path / "hookmon.toml").write_text(
        '[[watch]]\nmodule = "größe"\ncalls = ["é"]\nspan = "\\u001b[31m\\u202e é"\n[budget."*"]\ncalls = 9\n', "utf-8"
    )
    run_file = Store.of_project(tmp_path).reserve()
    nodes = [Node(-1, HOSTILE, "sql", HOSTILE, HOSTILE, calls=1, total_ns=5, self_ns=5000, min_ns=5, max_ns=5, buckets={38: 1})]
    now_s = time.time() // 60 * 60
    keeper = Keeper(store_of(tmp_path), SERVICE, now_s - 1_200, HOSTILE, ["python", HOSTILE])
    fill(keeper, now_s - 1_200, now_s, lambda keeper, at_s: keeper.count(HOSTILE, 30, 5_000), every_s=300)
    run_file.save(Run(1, HOSTILE, ["python", HOSTILE], HOSTILE, "0.1.0", state="finished", nodes=nodes))
    return tmp_path


def bad(text: str) -> set[str]:
    """Return the characters that a terminal or a page could act on."""
    return {char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf")}


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_pipe_ends_a_verb_quietly(project: Path, verb: str):
    """`| head` is enough for anybody: no traceback, nothing on stderr."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(project / "stderr", "w+b") as stderr, open(os.devnull, "rb") as stdin:
        env = environment(project)
        if verb in STARTED_FOR_REAL:
            command = [HOOKMON, *VERBS[verb]]
            subprocess.run(command, cwd=project, env=env, stdin=stdin, stdout=write_end, stderr=stderr, timeout=60)
        else:
            assert runs.launch_server is not None
            streams = (stdin.fileno(), write_end, stderr.fileno())
            runs.launch_server.start(VERBS[verb], cwd=project, env=env, streams=streams).wait(60)
        os.close(write_end)
        stderr.seek(0)
        assert stderr.read() == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disk_is_one_line(project: Path, verb: str):
    """The document is what was asked for, so it is an error; it is none of ours, so there is no traceback."""
    assert runs.launch_server is not None
    with open("/dev/full", "wb") as full, open(project / "stderr", "w+b") as stderr, open(os.devnull, "rb") as stdin:
        streams = (stdin.fileno(), full.fileno(), stderr.fileno())
        code = runs.launch_server.start(VERBS[verb], cwd=project, env=environment(project), streams=streams).wait(60)
        stderr.seek(0)
        told = stderr.read().decode()
    assert (told, code) == ("hookmon: the output cannot be written: No space left on device [output]\n", 2)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "completion"])
def test_hostile_names_are_inert(project: Path, verb: str):
    """Neither escapes, nor direction marks, nor line ends of theirs reach a terminal."""
    done = hookmon(VERBS[verb], cwd=project, env={"FORCE_COLOR": None})
    assert bad(done.stdout) == set()
    assert done.stderr == ""
    assert "\nline" not in done.stdout


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "completion"])
def test_a_locale_without_unicode_gets_what_it_can_show(
    project: Path, verb: str, launcher_without_unicode: LaunchServer, monkeypatch: pytest.MonkeyPatch
):
    """No UnicodeEncodeError, whatever stands in names and in our own text."""
    monkeypatch.setattr(runs, "launch_server", None if verb in STARTED_FOR_REAL else launcher_without_unicode)
    done = hookmon(VERBS[verb], cwd=project, env=NO_UNICODE)
    assert (done.stderr, done.exit_code) == ("", 0)
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    "verb", ["runs", "config", "doctor", "help", "help of a code", "report", "diff", "check", "history", "report of a service"]
)
def test_a_narrow_screen_is_kept(project: Path, verb: str):
    """60 columns."""
    lines = hookmon(VERBS[verb], cwd=project, env={"COLUMNS": "60"}).stdout.splitlines()
    assert [line for line in lines if len(line) > 60] == []


@pytest.mark.parametrize("verb", ["runs", "config", "doctor", "help", "help of a code", "diff", "check"])
def test_colours_are_asked_for_and_refused(project: Path, verb: str):
    """FORCE_COLOR, and NO_COLOR before it."""
    plain = hookmon(VERBS[verb], cwd=project).stdout
    coloured = hookmon(VERBS[verb], cwd=project, env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert hookmon(VERBS[verb], cwd=project, env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout == plain


def test_every_verb_says_json(tmp_path: Path):
    """For programs; a script for a shell is none of theirs."""
    context = command_line.make_context("hookmon", ["help"], resilient_parsing=True)
    silent = []
    for name in command_line.list_commands(context):
        verb = command_line.get_command(context, name)
        assert verb is not None
        if not any("--json" in option.opts for option in verb.params):
            silent.append(name)
    assert silent == ["completion", "detach", "export"]  # which print nothing about a run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_its_shell(tmp_path: Path, shell: str):
    """It asks hookmon itself."""
    script = hookmon(["completion", shell], cwd=tmp_path).stdout
    assert f"_HOOKMON_COMPLETE={shell}_complete" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("hookmon ru", {"run", "runs"}), ("hookmon report --form", {"--format"}), ("hookmon report --format speed", {"speedscope"})],
)
def test_verbs_options_and_formats_are_completed(tmp_path: Path, words: str, wanted: set[str]):
    """As bash asks for it."""
    env = {"_HOOKMON_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = hookmon([], cwd=tmp_path, env=env)
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == wanted


def test_json_and_another_format_are_a_contradiction(project: Path):
    """Told before anything is written."""
    done = hookmon(["report", "--json", "--format", "csv"], cwd=project)
    assert done.exit_code == 2
    assert "two formats" in done.stderr


def test_json_is_short_for_its_format(project: Path):
    """Of run and of report."""
    long = hookmon(["report", "--format", "json"], cwd=project).stdout
    assert hookmon(["report", "--json"], cwd=project).stdout == long
    done = hookmon(["run", "--json", sys.executable, "-c", "pass"], cwd=project)
    assert done.stderr.startswith('{\n"schema": "hookmon/1"')


def test_bytes_go_to_a_file_or_a_pipe(project: Path):
    """Never between the lines of a program."""
    marker = project / "started"
    code = f"open({str(marker)!r}, 'w')"
    done = hookmon(["run", "--format", "pstats", sys.executable, "-c", code], cwd=project)
    assert (done.exit_code, done.stderr.split()[-1]) == (2, "[binary-format]")
    assert not marker.exists()
    options = ["--format", "pstats", "--output", "out.pstats"]
    assert hookmon(["run", *options, sys.executable, "-c", code], cwd=project).exit_code == 0
    assert marshal.loads((project / "out.pstats").read_bytes()) == {}
    piped = hookmon(["report", "1", "--format", "pstats"], cwd=project).stdout.encode("utf-8", "surrogateescape")
    assert len(marshal.loads(piped)) == 1
