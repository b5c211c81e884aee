"""The words of a `hookmon run` whose program is started first: what they mean is what click says."""

from __future__ import annotations

import click
import pytest

from hookmon.cli import _words, run
from hookmon.cli._words import FLAG, OPTIONS, VALUE, VALUES

LINES = [
    ["--quiet", "python", "app.py"],
    ["--quiet", "--", "python", "-c", "pass", "--quiet"],
    ["python", "--name", "x"],
    ["--name", "nightly", "--quiet", "--own", "python"],
    ["--name=nightly=1", "--no-config", "--imports", "--no-export", "--no-service", "gunicorn", "app:app"],
    ["--watch", "a:b", "--watch=c:d", "--pack", "redis", "--no-pack=*", "--signal", "gc", "python"],
    ["--config", "x/../hookmon.toml", "python", "--", "y"],
    ["--quiet", "--quiet", "python"],
]
"""Lines that are understood."""

DOUBTFUL = [
    [],
    ["--quiet"],
    ["--quiet", "--"],
    ["--help"],
    ["-h", "python"],
    ["--quite", "python"],
    ["-o", "file", "python"],
    ["--format", "json", "python"],
    ["--json", "python"],
    ["--samples", "python"],
    ["--service", "web", "python"],
    ["--export", "otlp", "python"],
    ["--check", "python"],
    ["--quiet=yes", "python"],
    ["--name", "a", "--name", "b", "python"],
    ["--name=", "python"],
    ["--name", "--quiet", "python"],
    ["--name"],
    ["--quiet", "--", "-x"],
    ["--quiet", ""],
    ["--qui", "python"],
    ["-", "python"],
]
"""Lines that click has to look at: with a mistake, another option, or in doubt."""


def of_click(words: list[str]) -> dict:
    """Return the parameters that click makes of the words after `run`."""
    return run.command.make_context("run", list(words)).params


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_a_line_means_what_click_makes_of_it(words: list[str]):
    """Every option that is given or left out, and the command."""
    parsed = _words.parse(words)
    assert parsed is not None
    given, command = parsed
    meant = of_click(words)
    assert tuple(command) == meant.pop("command")
    assert given | _words.configuration_of(given) == {name: meant[name] for name in given}
    assert {name: value for name, value in meant.items() if name not in given} == {
        name: value for name, value in of_click(["python"]).items() if name not in given and name != "command"
    }


@pytest.mark.parametrize("words", DOUBTFUL, ids=" ".join)
def test_a_line_in_doubt_is_left_to_click(words: list[str]):
    """Whatever click says of it."""
    assert _words.parse(words) is None


@pytest.mark.parametrize(
    "words", [["--name", "x", "--own"], ["--quiet", "--", "--", "x"], ["--watch", "-x", "python"]], ids=" ".join
)
def test_what_click_refuses_is_never_understood(words: list[str]):
    """Or what looks like an option in the place of a value."""
    try:
        of_click(words)
    except click.UsageError:
        assert _words.parse(words) is None
    else:
        assert _words.parse(words) is None


def test_each_option_is_one_of_click_and_of_the_same_kind():
    """An option that is renamed, or takes another number of values, is not left behind here."""
    known = {option: parameter for parameter in run.command.params for option in parameter.opts}
    for option, kind in OPTIONS.items():
        parameter = known[option]
        assert isinstance(parameter, click.Option)
        assert (parameter.is_flag, parameter.multiple) == {FLAG: (True, False), VALUE: (False, False), VALUES: (False, True)}[
            kind
        ]
        assert parameter.name == _words.name_of(option)
        assert parameter.envvar is None


def test_all_options_of_a_configuration_are_known():
    """Those by which a prepared start is found again: one more would be overlooked."""
    from hookmon.cli import _options

    verb = _options.configuration(click.Command("run"))
    assert {option for parameter in verb.params for option in parameter.opts} == set(_words.OF_CONFIGURATION)
