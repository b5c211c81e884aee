"""The part of a run folder that is made before the program starts, by built-in modules."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hookmon.collector import new_folder, run_folder
from hookmon.core import plan

TEXTS = ["", "plain", 'a "quoted" \\ word', "line\nand\ttab\0", "grün €", "\U0001f40d", "\udc80 no UTF-8", "\x7f"]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_text_is_written_as_json_writes_it(text: str):
    """The same bytes, so any reader of JSON takes them."""
    assert new_folder.to_json(text) == json.dumps(text)


def test_values_are_written_as_json_writes_them():
    """What a run file and a note hold."""
    value = {"a": [1, -2, 1.5, None, True, False, "x"], "b": {}, "c": [], "d": {"e": 2**70}}
    assert new_folder.to_json(value) == json.dumps(value)


def test_a_folder_is_what_run_folder_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its note, its lock and its files are those of `run_folder.make`."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made = new_folder.make(str(tmp_path))
    path = Path(made.path)
    made.write_note("/somewhere/run-0001.sqlite")
    made.write(plan.FILE_NAME, b"a plan")
    note = run_folder.note_of(path)
    assert note == run_folder.Note(
        made.path,
        made.key,
        new_folder.pid_namespace(),
        new_folder.mount_namespace(),
        "/somewhere/run-0001.sqlite",
    )
    assert run_folder.launcher_lives(path, made.key)
    run_folder.adopt(made)
    run_folder.name_run_file(path, tmp_path / "other.sqlite")
    assert run_folder.note_of(path) == run_folder.replace(note, run_file=str(tmp_path / "other.sqlite"))
    run_folder.remove(path)
    assert not path.exists()


def test_a_folder_goes_with_what_was_written_and_nothing_else(tmp_path: Path):
    """A file that is not ours keeps it."""
    made, other = new_folder.make(str(tmp_path)), new_folder.make(str(tmp_path))
    for folder in (made, other):
        folder.write("plan", b"a plan")
    Path(other.path, "theirs").write_text("")
    made.remove(("plan", "absent"))
    other.remove(("plan",))
    assert os.listdir(tmp_path) == [Path(other.path).name]
    assert os.listdir(other.path) == ["theirs"]


def test_nothing_is_left_where_no_folder_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A full disk, as the note is written."""
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with pytest.raises(OSError, match="No space left"):
        new_folder.make(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_plan_is_completed_without_being_read():
    """What is known before a run, and what is known of it, make one plan."""
    known = {"watches": [{"id": 1, "module": "shop", "calls": ["quote"]}], "signals": [], "max_overhead": 0.05}
    more = {"run_folder": "/dev/shm/hookmon-\udc80", "clock_source": "tsc"}
    rest = plan.encode_rest(known)
    assert plan.decode(rest.join(plan.around(len(rest), more))) == known | more
    nothing = plan.encode_rest({})
    assert nothing.join(plan.around(len(nothing), known)) == plan.encode(known)
