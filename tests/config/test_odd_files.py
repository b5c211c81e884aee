"""Files of configuration that are none, or that would take all time and memory to read: named, with their line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.runs import hookmon

from hookmon.config.load import load
from hookmon.core.errors import ConfigError

PLAIN = 'redact = "all"\n'


def mistakes(folder: Path) -> list[str]:
    """Return what is wrong with the configuration of a folder."""
    with pytest.raises(ConfigError) as caught:
        load(folder)
    return caught.value.problems


@pytest.mark.process
@pytest.mark.parametrize("number", ["9" * 5_000, "-" + "1" * 4_301, "1e" + "9" * 5_000], ids=["digits", "minus", "exponent"])
def test_a_number_of_thousands_of_digits_is_one_line(number: str, tmp_path: Path):
    """Python itself refuses to read it."""
    (tmp_path / "hookmon.toml").write_text(f"max_overhead = {number}\n")
    (text,) = mistakes(tmp_path)
    assert len(text.splitlines()) == 1
    done = hookmon(["config"], cwd=tmp_path)
    assert (done.exit_code, "Traceback" in done.stderr) == (2, False)


def test_a_number_beyond_64_bits_is_one_line(tmp_path: Path):
    """Python reads those in base 16 whatever their length, and cannot print them."""
    (tmp_path / "hookmon.toml").write_text(f"max_overhead = [0x{'f' * 5_000}]\n")
    assert mistakes(tmp_path) == ["hookmon.toml: a number has more than 64 bits"]


@pytest.mark.parametrize("name", ["hookmon.toml", "pyproject.toml"])
def test_a_byte_order_mark_is_no_mistake(name: str, tmp_path: Path):
    """Editors on Windows write it, and mistakes behind it stand in their line."""
    head = "[tool.hookmon]\n" if name == "pyproject.toml" else ""
    (tmp_path / name).write_text(head + PLAIN, encoding="utf-8-sig")
    assert load(tmp_path).redact == "all"
    (tmp_path / name).write_text(head + "redact = 5\n", encoding="utf-8-sig")
    (text,) = mistakes(tmp_path)
    assert text.startswith(f"{name}:{1 + bool(head)}")


def test_a_key_of_very_many_parts_is_named(tmp_path: Path):
    """Reading it takes 11 s and 1.6 GB at 20,000 parts."""
    (tmp_path / "hookmon.toml").write_text(f"{PLAIN}{'.'.join(['a'] * 600)} = 1\n")
    assert mistakes(tmp_path) == ["hookmon.toml:2: a key has more than 500 parts"]


@pytest.mark.parametrize(
    "text",
    ["# " + "word. " * 5_000, '[other]\ntext = "' + "so it is. " * 5_000 + '"', "[other]\nnames = [" + '"a.b",' * 5_000 + "]"],
    ids=["comment", "text", "list"],
)
def test_many_dots_are_no_key(text: str, tmp_path: Path):
    """In what other tools have in pyproject.toml."""
    (tmp_path / "pyproject.toml").write_text(f"[tool.hookmon]\n{PLAIN}{text}\n")
    assert load(tmp_path).redact == "all"


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "nothing"])
def test_a_configuration_that_is_no_file_is_named(kind: str, tmp_path: Path):
    """And neither waited for nor passed over."""
    path = tmp_path / "hookmon.toml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else tmp_path / "missing")
    assert mistakes(tmp_path) == ["hookmon.toml: it is no file; allowed: a file, or nothing of that name"]


def test_a_pyproject_that_is_no_file_is_none_of_ours(tmp_path: Path):
    """Nobody said that it has anything to do with hookmon."""
    os.mkfifo(tmp_path / "pyproject.toml")
    assert load(tmp_path).path is None


def test_a_device_that_is_named_ends_somewhere(tmp_path: Path):
    """A pipe may be named, as the shell makes one of <(…); what has no end is refused."""
    with pytest.raises(ConfigError, match="more than 64 MiB"):
        load(tmp_path, config=Path("/dev/zero"))
