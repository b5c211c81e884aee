"""The command line before any verb has run: in a real interpreter each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.runs import HOOKMON

pytestmark = pytest.mark.process

HEAVY = "import sys; print(sorted({'rich', 'psutil', 'wrapt', 'sqlite3'} & set(sys.modules)), file=sys.stderr)"


def hookmon(*arguments: str, before: str = "", after: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a fresh interpreter; `after` is code that runs once it has left."""
    code = f"import sys\nfrom hookmon.cli.main import main\n{before}\ntry:\n    main()\nfinally:\n    {after or 'pass'}"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "-v"], ["--help"]], ids=" ".join)
def test_asking_what_it_is_loads_nothing_heavy(arguments: list[str]):
    """Neither rich nor psutil, and no library of the probe."""
    done = hookmon(*arguments, after=HEAVY)
    assert done.returncode == 0
    assert "rich" not in done.stderr
    assert "psutil" not in done.stderr
    assert "wrapt" not in done.stderr


def test_the_module_is_the_same_command(tmp_path: Path):
    """`python -m hookmon` prints what `hookmon` prints, and ends as it does."""
    for words in (["--version"], ["report", "7"], ["nope"]):
        script, module = (
            subprocess.run([*head, *words], capture_output=True, text=True, timeout=60, cwd=tmp_path)
            for head in ([HOOKMON], [sys.executable, "-m", "hookmon"])
        )
        assert (module.stdout, module.stderr, module.returncode) == (script.stdout, script.stderr, script.returncode)


def test_the_version_is_one_line():
    """A name and a number."""
    done = hookmon("--version")
    assert done.stdout.split()[0] == "hookmon"
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_the_long_version_says_what_it_runs_on():
    """Interpreter, wrapt, engine."""
    done = hookmon("--version", "-v")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["hookmon", "python", "wrapt", "engine"]
    assert "engine " in done.stdout


def test_help_lists_the_verbs():
    """A verb is found by its module."""
    assert "report" in hookmon("--help").stdout


@pytest.mark.parametrize("arguments", [[], ["-v"], ["nope"], ["report", "--nope"], ["main"], ["_runs"]], ids=" ".join)
def test_a_wrong_command_ends_with_2(arguments: list[str]):
    """What is allowed is said on stderr, and stdout stays empty."""
    done = hookmon(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: hookmon" in done.stderr


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("reprot", "Did you mean report?"),
        ("diagnose", ""),
        ("python", "Did you mean hookmon run python?"),
        ("app.py", "Did you mean hookmon run python app.py?"),
    ],
)
def test_a_misspelt_verb_is_told_what_was_meant(word: str, meant: str):
    """Also where the program was given without `run`."""
    line = hookmon(word).stderr.splitlines()[-1]
    assert line == f"Error: No such command {word!r}. {meant}".rstrip()


RAISING = "import click, hookmon.cli.report as verb; from hookmon.core.errors import *; verb.command.callback = lambda **_: {}"


@pytest.mark.parametrize(
    ("raised", "exit_code", "stderr"),
    [
        (
            "ConfigError(['a is wrong', 'b\\x1b too'])",
            2,
            "hookmon: a is wrong [configuration]\nhookmon: b\\x1b too [configuration]\n",
        ),
        ("LaunchError('not there', 127)", 127, "hookmon: not there [launch]\n"),
        ("KeyboardInterrupt()", -2, "\n"),
        ("BrokenPipeError(32, 'gone')", 1, ""),
    ],
    ids=["each problem on a line", "own exit code", "interrupt", "closed pipe"],
)
def test_an_error_is_a_line_and_an_exit_code(raised: str, exit_code: int, stderr: str):
    """No traceback for a mistake that its maker can mend; after an interrupt, a death by SIGINT, which shells look for."""
    done = hookmon("report", before=RAISING.format(f"(_ for _ in ()).throw({raised})"))
    assert (done.returncode, done.stderr) == (exit_code, stderr)


@pytest.mark.parametrize(("words", "module"), [("report", "click"), ("run true", "hookmon.cli._brief")])
def test_an_interrupt_while_it_still_imports_is_no_traceback(words: str, module: str):
    """Ctrl-C comes in the first tenth of a second as well."""
    path = module.replace(".", "/") + ".py"  # of what comes out of the bundle, which no import tells of
    is_it = f"event == 'import' and values[0] == {module!r} or event == 'exec' and values[0].co_filename.endswith({path!r})"
    raising = f"(_ for _ in ()).throw(KeyboardInterrupt) if {is_it} else None"
    done = hookmon(*words.split(), before=f"sys.addaudithook(lambda event, values: {raising})")
    assert (done.returncode, done.stdout, done.stderr) == (-2, "", "")


def test_a_verb_may_answer_with_an_exit_code():
    """`hookmon run` ends as the program did."""
    assert hookmon("report", before=RAISING.format("7")).returncode == 7


def test_windows_is_refused_in_one_line():
    """Said, not guessed at."""
    done = hookmon("--version", before="sys.platform = 'win32'")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "hookmon: Windows is not supported yet\n")
