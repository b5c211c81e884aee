"""`hookmon help`, and that every code in the source has its text."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from support.runs import hookmon

from hookmon.cli._verbs import hookmon as command_line
from hookmon.core import errors, layout
from hookmon.report import words
from hookmon.report.codes import CODES, find, slug
from hookmon.report.watches import ABSENT, ACTIVE
from hookmon.report.words import WORDS

AGENT = Path(__file__).resolve().parents[2] / "agent" / "hookmon"


def constants(node: ast.AST) -> Iterator[str]:
    """Yield the texts that an argument may be: itself, or both ends of a conditional."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


def codes_in(path: Path) -> Iterator[str]:
    """Yield every code that a module can print: `code=` of errors and mistakes, and the kinds of notes and blind spots."""
    source = path.read_bytes()
    if path.name != "shards.py" and not any(word in source for word in (b"code=", b"BlindSpot(", b"note(", b"note_once(")):
        return  # to parse all modules takes every worker half a second
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            if keyword.arg == "code":
                yield from constants(keyword.value)
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in ("BlindSpot", "note", "note_once") and node.args:
            yield from (slug(kind) for kind in constants(node.args[0]) if kind != "hookmon")  # becomes "own failure"
        if name in ("append",) and node.args and isinstance(node.args[0], ast.Tuple) and path.name == "shards.py":
            yield from (slug(kind) for kind in constants(node.args[0].elts[0]))


USED = sorted({code for path in AGENT.rglob("*.py") for code in codes_in(path)} | set(map(slug, layout.ENGINE_NOTES)))


def test_the_codes_of_the_source_were_found():
    """Else the next test would hold nothing."""
    assert {"no-such-run", "unknown-kind", "early-reference", "not-watched", "shard-full", "not-executable"} <= set(USED)


@pytest.mark.parametrize("code", USED)
def test_every_code_in_the_source_is_explained(code: str):
    """With a cause and a remedy."""
    assert CODES[code].cause.endswith(".")
    assert CODES[code].remedy


def test_every_kind_of_error_has_a_code():
    """Its own, or the one it was raised with."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HookmonError)]
    assert len(kinds) >= 6
    assert {kind.code for kind in kinds} <= set(CODES)


def test_every_state_of_a_watch_is_explained():
    """As the report calls it."""
    for state in (*ACTIVE, *ABSENT, "not found", "refused"):
        assert find(state) is not None


def test_every_mistake_in_a_configuration_has_a_code():
    """None is left with the one for all."""
    bare = [
        f"{path.name}:{node.lineno}"
        for path in (AGENT / "config").glob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Mistake" and "code" not in {key.arg for key in node.keywords}
    ]
    assert bare == []


def test_no_code_is_explained_that_nothing_prints():
    """A code that went takes its text with it; exit codes and states are not in the source as such."""
    spoken = {*USED, *(kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code"))}
    silent = [code.name for code in CODES.values() if code.group in ("errors", "mistakes in a configuration", "blind spots")]
    assert set(silent) - spoken == set()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not-watched", "not-watched"),
        ("not watched", "not-watched"),
        ("Not Watched:", "not-watched"),
        ("[no-such-run]", "no-such-run"),
        ("__main__", "main"),
        ("127", "exit-127"),
        ("137", "exit-128+n"),
        ("130", "exit-130"),
    ],
)
def test_a_code_is_found_as_it_is_printed(text: str, code: str):
    """Copied from wherever it stands."""
    found = find(text)
    assert found is not None
    assert found.name == code


@pytest.mark.usefixtures("warm_launcher")
def test_an_error_names_a_code_that_help_explains(tmp_path: Path):
    """From one line to the next step."""
    line = hookmon(["report"], cwd=tmp_path).stderr.strip()
    code = line.rpartition("[")[2].rstrip("]")
    assert "hookmon runs" in hookmon(["help", code], cwd=tmp_path).stdout


@pytest.mark.usefixtures("warm_launcher")
def test_mistakes_carry_their_own_codes(tmp_path: Path):
    """Each line its own."""
    (tmp_path / "hookmon.toml").write_text('kindd = 1\n[[watch]]\nmodule = "a"\ncalls = ["b"]\nkind = "sqll"\n')
    lines = hookmon(["config"], cwd=tmp_path).stderr.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["[unknown-key]", "[unknown-kind]"]


@pytest.mark.usefixtures("warm_launcher")
def test_help_lists_all_codes(tmp_path: Path):
    """And says how to ask for one."""
    screen = hookmon(["help"], cwd=tmp_path).stdout
    assert screen.startswith("hookmon help CODE")
    assert all(code in screen for code in (*CODES, *WORDS))
    assert {row["name"] for row in json.loads(hookmon(["help", "--json"], cwd=tmp_path).stdout)} == {*CODES, *WORDS}


@pytest.mark.usefixtures("warm_launcher")
@pytest.mark.parametrize(
    "word",
    ["gone", "end not seen", "self", "beside", "after", "each", "most", "transaction", "thread or tasks", "(main)", "own cost"],
)
def test_words_of_a_report_are_explained(tmp_path: Path, word: str):
    """As they stand there."""
    done = hookmon(["help", word], cwd=tmp_path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "words of a report" in done.stdout


@pytest.mark.parametrize("room", ["formats/text.py", "requests.py"])
def test_the_titles_of_all_columns_of_what_was_called_are_explained(room: str):
    """But those that are plain words."""
    source = (AGENT / "report" / room).read_text("utf-8")
    titles = set(re.findall(r'Column\("([^"]+)"', source))
    plain = {"name", "calls", "mean", "max", "call", "spent on", "pid", "command", "state", "time", "CPU", "memory", "threads"}
    plain |= {"files", "read", "written", "switches"}
    assert {title for title in titles - plain if words.find(title) is None} == set()


def test_no_word_hides_a_code_or_verb():
    """`hookmon help TEXT` has one meaning."""
    assert not set(WORDS) & set(CODES)


@pytest.mark.usefixtures("warm_launcher")
def test_a_verb_is_explained_too(tmp_path: Path):
    """As by its own --help."""
    assert hookmon(["help", "run"], cwd=tmp_path).stdout == hookmon(["run", "--help"], cwd=tmp_path).stdout


@pytest.mark.usefixtures("warm_launcher")
def test_an_unknown_code_is_one_line(tmp_path: Path):
    """With the one that is near."""
    done = hookmon(["help", "early-refrence"], cwd=tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("hookmon: there is no code, word or verb 'early-refrence'; did you mean early-reference? [")


CHOICES = {
    f"{name} {parameter.opts[0]}": (verb, parameter)
    for name in command_line.list_commands(click.Context(command_line))
    if (verb := command_line.get_command(click.Context(command_line), name)) is not None
    for parameter in verb.params
    if isinstance(parameter.type, click.Choice)
}


@pytest.mark.parametrize("case", CHOICES)
def test_a_word_that_is_nearly_one_of_a_choice_is_told(case: str):
    """Of every parameter of every verb that has a few words to choose from."""
    verb, parameter = CHOICES[case]
    assert isinstance(parameter.type, click.Choice)
    for word in parameter.type.choices:
        with pytest.raises(click.BadParameter, match=f"Did you mean '{word}'") as raised:
            parameter.type.convert(f"{word[0]}{word[2]}{word[1]}{word[3:]}", parameter, click.Context(verb))
        assert "is not one of " in raised.value.message
    with pytest.raises(click.BadParameter) as raised:
        parameter.type.convert("zzzzzz", parameter, click.Context(verb))
    assert "Did you mean" not in raised.value.message


def test_choices_were_found():
    """Else the last test would hold nothing."""
    assert {"run --export", "run --format", "diff --format", "completion shell"} <= set(CHOICES)
