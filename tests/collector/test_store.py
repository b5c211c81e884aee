"""Runs are kept, found again, and told from what is none."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hookmon.collector.store import (
    KEPT_RUNS,
    BlindSpot,
    CallSeries,
    InFlight,
    Node,
    Process,
    Run,
    RunFile,
    Sample,
    Store,
    Watched,
    number_of,
)
from hookmon.core.errors import RunFileError

AGENT = Path(__file__).resolve().parents[2] / "agent"


def full_run() -> Run:
    """Return a run with a row in every table."""
    return Run(
        id=7,
        name="nightly",
        command=["python", "app.py"],
        started_at="2025-03-04T05:06:07+00:00",
        hookmon="0.1.0",
        exit_code=-9,
        call_cost_ns=950.5,
        processes=[Process(1, 0, ["python", "ä"], exit_code=None), Process(2, 1, [], exit_code=3)],
        nodes=[Node(-1, "a", "sql", "m:a", buckets={3: 4, 767: 1}), Node(0, "b", "function", "m:b", flat=True)],
        watched=[Watched("m:a", "active", "", "redis", "pack redis")],
        blind_spots=[BlindSpot("lanes", "many")],
        in_flight=[InFlight(1, "task", [("a", 5), ("b", 3)], 3, killed=True)],
        still_running=["5 sleep 9"],
        samples=[Sample(1, 2, 3, 4, 5, 6, 7, 8, 9)],
        plan=[{"id": 1, "module": "m", "calls": ["a"], "pack": "", "source": "--watch"}],
        series=[CallSeries("a", "sql", "m:a", "[[0,4,0,12,[3,4]]]")],
        interval_ns=250_000_000,
        folded=["1-2.shard"],
    )


@pytest.fixture
def run_file(tmp_path: Path) -> RunFile:
    """A run file that is not there yet."""
    return RunFile(tmp_path / "run-0007.sqlite")


def test_a_run_comes_out_as_it_went_in(run_file: RunFile):
    """Every field of every table."""
    run_file.save(full_run())
    assert run_file.load() == full_run()


def test_figures_beyond_what_sqlite_has_room_for_are_the_largest_there(run_file: RunFile):
    """Sums of damaged counters; all other rows and figures are kept as they are."""
    run = full_run()
    run.nodes += [Node(-1, "c", "sql", "m:c", calls=2**64, total_ns=-(2**70), errors=3)]
    run.processes[1].calls = 2**63
    run_file.save(run)
    loaded = run_file.load()
    assert (loaded.nodes[2].calls, loaded.nodes[2].total_ns, loaded.nodes[2].errors) == (2**63 - 1, 1 - 2**63, 3)
    assert loaded.processes[1].calls == 2**63 - 1
    assert loaded.nodes[:2] == full_run().nodes


def test_saving_again_replaces(run_file: RunFile):
    """No row of before is left."""
    run_file.save(full_run())
    run_file.save(Run(8, "", [], "", "0.1.0"))
    assert run_file.load() == Run(8, "", [], "", "0.1.0")


LATER_COLUMNS = ("sited", "entry", "waits", "detached", "transactions", "most", "repeated", "repeated_calls", "repeated_ns")


def test_a_run_file_from_before_there_were_transactions_and_series_still_loads(run_file: RunFile):
    """What it has not is at its default."""
    run = full_run()
    run_file.save(run)
    connection = sqlite3.connect(run_file.path)
    connection.execute("PRAGMA user_version = 1")
    connection.execute("DROP TABLE series")
    connection.execute("DROP TABLE examples")
    for column in (*LATER_COLUMNS, "most_repeated"):
        connection.execute(f"ALTER TABLE nodes DROP COLUMN {column}")
    connection.execute("DELETE FROM run WHERE key = 'interval_ns'")
    connection.commit()
    connection.close()
    run.series, run.interval_ns, run.examples = [], 0, []
    run.nodes[0].buckets = {4: 1, 5: 3, 767: 1}  # were of nanoseconds: see test_old_grid
    assert run_file.load() == run


def test_series_are_saved_alone(run_file: RunFile):
    """While everything else can still be read from shards; the other tables stay as they were."""
    run = full_run()
    run_file.save(run)
    run.series = []
    run.samples.append(Sample(2, 2, 3, 4, 5, 6, 7, 8, 9))
    nodes, run.nodes = run.nodes, []
    run_file.save_tables(run, ("series", "samples"))
    run.nodes = nodes
    assert run_file.load() == run


def test_the_head_comes_without_rows(run_file: RunFile):
    """For lists of runs."""
    run_file.save(full_run())
    head = run_file.head()
    assert (head.id, head.name, head.nodes, head.processes, head.plan, head.settings) == (7, "nightly", [], [], [], [])


TEXTS = ["\udc80", "\ud800", "\x00", "a\nb", "'; DROP TABLE nodes; --", "ä" * 5_000, "\U0001f600"]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
def test_any_text_can_be_kept(run_file: RunFile, text: str):
    """What is not UTF-8 is kept as its escape."""
    run = full_run()
    run.name = run.nodes[0].name = run.processes[0].command[0] = run.blind_spots[0].detail = text
    run.in_flight[0].stack[0] = (text, 1)
    run_file.save(run)
    loaded = run_file.load()
    escaped = text.encode("utf-8", "backslashreplace").decode()
    assert loaded.nodes[0].name == loaded.blind_spots[0].detail == escaped
    assert loaded.processes[0].command[0] == loaded.name == text


def test_a_number_that_is_too_large_is_an_error_of_ours(run_file: RunFile):
    """A damaged shard holds any 64 bits."""
    run = full_run()
    run.nodes[0].total_ns = 2**64 - 1
    try:
        run_file.save(run)
    except RunFileError:
        pass


def damage(path: Path, kind: str) -> None:
    """Make a file that is no run file."""
    if kind == "missing":
        return
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("hello")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "foreign":
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE run (key, value)")
        connection.commit()
        connection.close()
    else:
        RunFile(path).save(full_run())
        content = path.read_bytes()
        if kind == "half":
            path.write_bytes(content[: len(content) // 2])
            return
        if kind == "scrambled":
            path.write_bytes(content[:100] + bytes(len(content) - 100))
            return
        connection = sqlite3.connect(path)
        statements = {
            "version": "PRAGMA user_version = 99",
            "no table": "DROP TABLE nodes",
            "no rows": "DELETE FROM run",
            "bad json": "UPDATE run SET value = '{'",
            "other json": "UPDATE nodes SET buckets = '[1]'",
            "more": "INSERT INTO run VALUES ('surprise', '1')",
        }
        connection.execute(statements[kind])
        connection.commit()
        connection.close()


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "folder",
        "empty",
        "text",
        "pipe",
        "foreign",
        "half",
        "scrambled",
        "version",
        "no table",
        "no rows",
        "bad json",
        "more",
        "other json",
    ],
)
def test_what_is_no_run_file_is_one_error(run_file: RunFile, kind: str):
    """With the path in it, and nothing changes on disk."""
    damage(run_file.path, kind)
    before = sorted(os.listdir(run_file.path.parent))
    with pytest.raises(RunFileError, match=run_file.path.name):
        run_file.load()
    assert sorted(os.listdir(run_file.path.parent)) == before


KILLED_WHILE_IT_SAVES = """
import os, signal, sys
from pathlib import Path
from collector.test_store import full_run
from hookmon.collector.store import RunFile
path, left = Path(sys.argv[1]), int(sys.argv[2])
def count(frame, event, function):
    global left
    if event == "c_return" and getattr(function, "__name__", "") in ("execute", "executemany", "__exit__"):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
run = full_run()
run.name = "second"
sys.setprofile(count)
RunFile(path).save(run)
"""


@pytest.mark.process
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_a_save_that_is_killed_after_any_statement_leaves_the_file_as_it_was(tmp_path: Path, is_first: bool):
    """Or as it should be. After the first save of all there is nothing yet, and no file of version 0."""
    path = tmp_path / "run-0001.sqlite"
    ends = []
    for statement in (4, 6, 8, 11, 30, 1_000):
        path.unlink(missing_ok=True)
        if not is_first:
            RunFile(path).save(full_run())
        done = subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_SAVES, path, str(statement)], cwd=Path(__file__).parents[1])
        try:
            name = RunFile(path).load().name
        except RunFileError as error:
            name = error.code
        ends.append((done.returncode, name))
        RunFile(path).save(full_run())
    before = "nothing-saved" if is_first else full_run().name
    assert ends[:-1] == [(-signal.SIGKILL, before)] * 5
    assert ends[-1] == (0, "second")


@pytest.mark.parametrize("name", ["a b", "50%", "what?", "a#b", "ä", "a'b"])
def test_a_store_may_be_called_anything(tmp_path: Path, name: str):
    """Characters that mean something in a URI, too."""
    (tmp_path / name).mkdir()
    run_file = RunFile(tmp_path / name / "run-0001.sqlite")
    run_file.save(full_run())
    assert run_file.load().id == 7


def test_the_last_twenty_are_kept(tmp_path: Path):
    """The oldest go, foreign files stay, numbers go on."""
    store = Store(tmp_path / ".hookmon")
    store.folder.mkdir()
    for foreign in ("notes.txt", "run-abc.sqlite", "run-0003.txt"):
        (store.folder / foreign).touch()
    for _ in range(KEPT_RUNS + 5):
        run_file = store.reserve()
    assert number_of(run_file) == KEPT_RUNS + 5
    assert store.numbers() == list(range(6, KEPT_RUNS + 6))
    assert {"notes.txt", "run-abc.sqlite", "run-0003.txt", ".gitignore"} <= set(os.listdir(store.folder))
    assert store.run_file(30).path.name == "run-0030.sqlite"


def test_a_store_is_private_and_ignored_by_git(tmp_path: Path):
    """0700, 0600, and a .gitignore that covers everything."""
    run_file = Store(tmp_path / ".hookmon").reserve()
    assert stat.S_IMODE(run_file.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(run_file.path.stat().st_mode) == 0o600
    assert (run_file.path.parent / ".gitignore").read_text() == "*\n"


def test_a_gitignore_of_the_user_stays(tmp_path: Path):
    """Written once."""
    folder = tmp_path / ".hookmon"
    folder.mkdir()
    (folder / ".gitignore").write_text("mine\n")
    Store(folder).reserve()
    assert (folder / ".gitignore").read_text() == "mine\n"


RESERVE = """
import sys
from pathlib import Path
from hookmon.collector.store import Store, number_of
store = Store(Path(sys.argv[1]))
print(*[number_of(store.reserve()) for _ in range(8)])
"""


@pytest.mark.process
def test_two_launchers_never_get_one_number(tmp_path: Path):
    """They reserve at the same time."""
    command = [sys.executable, "-c", RESERVE, str(tmp_path / ".hookmon")]
    launchers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(AGENT), "PATH": os.defpath})
        for _ in range(2)
    ]
    numbers = [int(number) for launcher in launchers for number in launcher.communicate(timeout=60)[0].split()]
    assert [launcher.returncode for launcher in launchers] == [0, 0]
    assert sorted(numbers) == list(range(1, 17))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "hookmon"


def deny(monkeypatch: pytest.MonkeyPatch, denied: Path) -> None:
    """Answer as the kernel would to a user who may not write there; the tests may run as root, who may."""
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != denied and real(path, mode))


def test_a_project_keeps_its_own_runs(tmp_path: Path, state: Path):
    """In .hookmon."""
    assert Store.of_project(tmp_path).folder == tmp_path / ".hookmon"


def test_the_top_of_the_file_system_is_no_project(state: Path):
    """Cron and containers start things there: what is run is kept in the state folder."""
    if Path("/.hookmon").exists():
        pytest.skip("somebody has made /.hookmon")
    assert Store.of_project(Path("/")).folder == state / "root"


def test_runs_that_may_not_be_read_are_not_taken_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The folder and the reason are said."""
    (tmp_path / "taken").touch()
    with pytest.raises(RunFileError, match="taken: the runs in it cannot be read: Not a directory"):
        Store(tmp_path / "taken").numbers()

    def refuse(_: object) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # the tests may run as root, whom nothing is denied

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(RunFileError, match="cannot be read: Permission denied"):
        Store(tmp_path).numbers()
    monkeypatch.undo()
    assert Store(tmp_path / "gone").numbers() == []


def test_a_read_only_project_keeps_its_runs_in_the_state_folder(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch):
    """In a folder of its own."""
    project = tmp_path / "project"
    project.mkdir()
    deny(monkeypatch, project)
    folder = Store.of_project(project).folder
    assert folder.parent == state
    assert folder.name.endswith("-project")
    assert number_of(Store(folder).reserve()) == 1


def test_runs_in_a_folder_that_became_read_only_are_still_found(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch):
    """Until there are others in the state folder."""
    project = tmp_path / "project"
    (project / ".hookmon").mkdir(parents=True)
    deny(monkeypatch, project / ".hookmon")
    assert Store.of_project(project).folder == project / ".hookmon"
    (state / "-".join(project.parts[1:])).mkdir(parents=True)
    assert Store.of_project(project).folder.parent == state


@pytest.mark.parametrize("place", ["file", "below a file"])
def test_a_store_that_cannot_be_made_is_one_error(tmp_path: Path, place: str):
    """With the folder in it."""
    (tmp_path / "taken").touch()
    folder = tmp_path / "taken" / ("" if place == "file" else "below")
    with pytest.raises(RunFileError, match="runs cannot be kept here"):
        Store(folder).reserve()


def test_a_run_file_of_before_is_saved_again(tmp_path: Path):
    """A launcher of an older version was killed: its run gets the columns of now."""
    run_file = RunFile(tmp_path / "run-0001.sqlite")
    run = Run(1, "", ["app"], "", "0", processes=[Process(5, 1, ["app"], reason="is not a Python program")])
    run_file.save(run)
    with closing(sqlite3.connect(run_file.path)) as connection, connection:
        connection.execute("ALTER TABLE processes DROP COLUMN reason")
    old = run_file.load()
    assert old.processes[0].reason == ""
    old.processes[0].reason = "is new"
    run_file.save(old)
    assert run_file.load().processes[0].reason == "is new"
