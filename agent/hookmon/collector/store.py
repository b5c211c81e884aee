"""The run file: all that is kept of one `hookmon run`, in SQLite, and the plain data that it holds.

In: a Run from the collector, as often as it likes. Out: the same Run for a report, in any process and at any time.
Runs on the launcher's side only. A run file is one file, `run-0007.sqlite`, in a store folder: `.hookmon/` of the project,
or the user's state folder where that cannot be written. Times are integer nanoseconds.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hookmon.collector import places, run_folder
from hookmon.collector.columns import no_collection as no_collection
from hookmon.collector.columns import write_rows
from hookmon.collector.database import keep_from_git, open_for_writing, roll_back
from hookmon.collector.loading import SCHEMA, load, rows_to_keep
from hookmon.collector.metrics import Signal as Signal
from hookmon.collector.rows import BlindSpot as BlindSpot
from hookmon.collector.rows import CallSeries as CallSeries
from hookmon.collector.rows import Example as Example
from hookmon.collector.rows import InFlight as InFlight
from hookmon.collector.rows import Node as Node
from hookmon.collector.rows import Process as Process
from hookmon.collector.rows import Sample as Sample
from hookmon.collector.rows import Status as Status
from hookmon.collector.rows import Watched as Watched
from hookmon.collector.samples import SampledFrame as SampledFrame
from hookmon.collector.samples import SampledProcess, SampledStack
from hookmon.collector.short_run import KEPT_RUNS as KEPT_RUNS
from hookmon.collector.short_run import LATE, blank_rows
from hookmon.collector.sqlite import sqlite3
from hookmon.collector.yielding import nothing
from hookmon.core.errors import RunFileError
from hookmon.core.record import Record, field

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_NAME = re.compile(r"run-(\d{4}|[1-9]\d{4,8})\.sqlite", re.ASCII)
_LAST_NUMBER = 999_999_999


class Run(Record):
    """One `hookmon run` with all its processes. `state` is running, finished or recovered (its launcher was killed)."""

    id: int
    name: str
    command: list[str]
    started_at: str  # ISO 8601 with offset
    hookmon: str
    project: str = ""  # the folder that call sites are told relative to
    run_folder: str = ""
    run_key: str = ""  # also in the run folder: which of the two belongs to which
    service: str = ""  # all runs of which belong together, "" for none
    version: str = ""  # of the service, as the configuration says
    since_s: float = 0.0  # of a window of a service: its beginning, in seconds since 1970; 0: a run
    until_s: float = 0.0
    launcher_pid: int = 0
    launcher_started: float = 0.0  # seconds since 1970: tells a launcher from a later process with its pid
    boot: str = ""  # of the machine
    pids: str = ""  # the namespace that pids of the run are from, "" where that is not known
    oldest: int = 0  # when the launcher began (collector.identity's Stat.started): no process of the run is older
    running: list[str] = field(default_factory=list)  # the identities of the processes that ran when this was saved
    main_pid: int = 0
    attached_after_ns: int = 0  # how long the main process had run when hookmon was attached to it, 0 where that started it
    served: str = ""  # the HOOKMON of a program that was started without a launcher, and that hookmon serve follows
    started_ns: int = 0  # CLOCK_MONOTONIC
    state: str = "running"
    duration_ns: int = 0
    exit_code: int | None = None  # -N for signal N
    python: str = ""  # of the main process, or of the first one that was watched
    engine: str = ""
    host: str = ""  # a digest of the machine's name
    cpu: str = ""  # the model
    cores: int = 0
    others_ns: int = 0  # CPU time that processes of others took while it lasted
    used_ns: int = 0  # CPU time of the command and of all that was waited for below it, as the kernel adds it up; 0: not known
    beside_ns: int | None = None  # see overlap: at most so much of the time at work was at the same time; None: not known
    lanes: int = 0  # how many threads, tasks and greenlets had watched calls at one time, at most
    options: list[str] = field(default_factory=list)  # of `hookmon run`, those that choose the configuration
    overhead_ns: int = 0
    launcher_cpu_ns: int = 0  # of `hookmon run` itself, which works beside the program
    launcher_rss_max_bytes: int = 0  # the most memory that it had
    call_cost_ns: float = 0.0
    step_cost_ns: float = 0.0
    places: dict[str, str] = field(default_factory=dict)  # "file:line" of the targets that the user has named
    unnamed_calls: int = 0  # counted under flat nodes because the tree was full
    processes: list[Process] = field(default_factory=list)  # of very many, those with the most calls and CPU time
    more: dict[str, int] = field(default_factory=dict)  # of those that have no row: how many, and sums
    nodes: list[Node] = field(default_factory=list)  # a parent stands before its children
    examples: list[Example] = field(default_factory=list)  # the slowest first
    statuses: list[Status] = field(default_factory=list)  # of requests
    signals: list[Signal] = field(default_factory=list)  # what is no call
    watched: list[Watched] = field(default_factory=list)
    blind_spots: list[BlindSpot] = field(default_factory=list)
    in_flight: list[InFlight] = field(default_factory=list)
    still_running: list[str] = field(default_factory=list)  # "pid command" of what outlived the main process
    samples: list[Sample] = field(default_factory=list)
    sampled_processes: list[SampledProcess] = field(default_factory=list)  # whose stacks were read
    sampled_frames: list[SampledFrame] = field(default_factory=list)
    sampled_stacks: list[SampledStack] = field(default_factory=list)  # most samples first
    plan: list[dict[str, Any]] = field(default_factory=list)  # the watches that were asked for
    settings: list[dict[str, Any]] = field(default_factory=list)  # table, key, value, origin: the rest of the configuration
    config: str = ""  # the file that was read, "" for none
    series: list[CallSeries] = field(default_factory=list)
    interval_ns: int = 0  # of the series
    folded: list[str] = field(default_factory=list)  # shards that are in `nodes` already and may still lie in the run folder

    def total(self, name: str) -> int:
        """Return the sum of a figure over all processes, those that have no row included."""
        return self.more.get(name, 0) + int(sum(getattr(row, name) for row in self.processes))


_TABLES = {
    "processes": Process,
    "nodes": Node,
    "examples": Example,
    "statuses": Status,
    "signals": Signal,
    "watched": Watched,
    "blind_spots": BlindSpot,
    "in_flight": InFlight,
    "samples": Sample,
    "sampled_processes": SampledProcess,
    "sampled_frames": SampledFrame,
    "sampled_stacks": SampledStack,
    "series": CallSeries,
}


FINAL = ("nodes", "examples", "statuses", "signals")
"""Tables of what is counted: of processes that have ended, their part is final."""


class RunFile:
    """One run file on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def page(self) -> Path:
        """Where the page of the run lies, if somebody opened it; it goes with the run."""
        return self.path.with_suffix(".html")

    def diff_page(self, number: int) -> Path:
        """Where the page of a diff of this run with a later one lies, if somebody opened it; it goes with either of them."""
        return self.path.with_name(f"diff-{number_of(self):04d}-{number:04d}.html")

    def delete(self) -> None:
        """Delete the run and its pages; what is gone already is no error. Raises OSError."""
        number, folder = f"{number_of(self):04d}", self.path.parent
        pages = (self.page, *folder.glob(f"diff-{number}-*.html"), *folder.glob(f"diff-*-{number}.html"))
        for path in (*pages, self.path, Path(f"{self.path}-journal")):  # the journal of a writer that was killed
            path.unlink(missing_ok=True)

    def save(self, run: Run, look: Callable[[], None] = nothing) -> None:
        """Write the whole run in one transaction: a reader sees the old or the new one. `look` is called now and then.

        Raises RunFileError when the disk is full or the file cannot be written.
        """
        self._save(run, _TABLES, look)

    def save_tables(self, run: Run, names: tuple[str, ...], look: Callable[[], None] = nothing) -> None:
        """Write the run's single values and some of its tables. Raises RunFileError as `save` does."""
        self._save(run, {name: _TABLES[name] for name in names}, look)

    def _save(self, run: Run, tables: Mapping[str, type], look: Callable[[], None]) -> None:
        with self._saving(), open_for_writing(self.path) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
            connection.execute("CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT)")
            scalars = [(name, json.dumps(value)) for name, value in vars(run).items() if name not in _TABLES]
            connection.execute("DELETE FROM run")
            connection.executemany("INSERT INTO run VALUES (?, ?)", scalars)
            for table, row_type in tables.items():
                write_rows(connection, table, row_type, rows_to_keep(run, table), look)

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Turn what keeps the file from being written into RunFileError."""
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError) as error:
            raise RunFileError(f"{self.path}: the run cannot be saved: {error}", code="not-saved") from error

    def add_blanks(self) -> None:
        """Make room for what `short_run` has to say. Raises RunFileError as `save` does."""
        with self._saving(), open_for_writing(self.path) as connection:
            connection.executemany("INSERT INTO run VALUES (?, ?)", blank_rows())

    def rename(self, name: str) -> None:
        """Give the run another name. Raises RunFileError when it cannot be read or written."""
        self.head()
        with self._saving(), open_for_writing(self.path) as connection:
            (is_short,) = connection.execute("SELECT count(*) FROM run WHERE key = ?", LATE[:1]).fetchone()
            connection.execute("UPDATE run SET value = ? WHERE key = 'name'", [json.dumps(name)])
        if is_short:
            run = self.load()
            run.name = name
            self.save(run)

    def roll_back(self) -> None:
        """Undo what a writer had begun that was killed. Raises RunFileError when that cannot be done, or somebody writes."""
        with self._saving():
            roll_back(self.path)

    def load(self, *, without: tuple[str, ...] = ()) -> Run:
        """Return the run; the tables in `without` are not read, and empty.

        Raises RunFileError when the file is missing, unreadable, not a run file, damaged, or from another version.
        """
        with no_collection():
            return load(self.path, Run, {name: row_type for name, row_type in _TABLES.items() if name not in without})

    def head(self) -> Run:
        """Return the run without its rows, plan and settings: quick, whatever their size. Raises RunFileError as `load` does."""
        return load(self.path, Run, {}, without=("plan", "settings"))

    def load_tables(self, names: tuple[str, ...]) -> Run:
        """Return the run with some of its rows. Raises RunFileError as `load` does."""
        return load(self.path, Run, {name: _TABLES[name] for name in names})


class Store:
    """The folder that keeps the last runs of a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_project(cls, project: Path) -> Store:
        """Return the store of a project: where `places` says that its runs are kept."""
        return cls(places.runs_of(project))

    def numbers(self) -> list[int]:
        """Return the numbers of the runs that are kept, oldest first. Raises RunFileError when the folder cannot be read."""
        try:
            return sorted(int(match[1]) for match in map(_NAME.fullmatch, os.listdir(self.folder)) if match)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunFileError(f"{self.folder}: the runs in it cannot be read: {error.strerror}", code="run-file") from error

    def run_file(self, number: int) -> RunFile:
        """Return the run file of a number, which need not exist."""
        return RunFile(self.folder / f"run-{number:04d}.sqlite")

    def reserve(self) -> RunFile:
        """Create the next run file, empty and private, and drop the oldest beyond KEPT_RUNS.

        Raises RunFileError when the folder cannot be made or written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            keep_from_git(self.folder)
            number = (self.numbers() or [0])[-1] + 1
            while number <= _LAST_NUMBER:
                run_file = self.run_file(number)
                try:
                    os.close(os.open(run_file.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                    break
                except FileExistsError:
                    number += 1
            else:
                raise RunFileError(f"{self.folder}: run {_LAST_NUMBER} is the last there can be; remove it", code="not-saved")
        except OSError as error:
            raise RunFileError(f"{self.folder}: runs cannot be kept here: {error.strerror}", code="not-saved") from error
        self.drop_oldest()
        return run_file

    def drop_oldest(self) -> None:
        """Delete the oldest runs beyond KEPT_RUNS that do not go on. Raises RunFileError when the folder cannot be read."""
        for old in self.numbers()[:-KEPT_RUNS]:
            with suppress(OSError):
                if not _goes_on(self.run_file(old)):
                    self.run_file(old).delete()


def _goes_on(run_file: RunFile) -> bool:
    """Say whether a run may be added to: its run folder is still there, with what its launcher or survivors have not saved."""
    try:
        run = run_file.head()
    except RunFileError:
        return False
    return bool(run.run_key) and run_folder.is_readable(Path(run.run_folder), run.run_key)


def number_of(run_file: RunFile) -> int:
    """Return the run number that a file's name carries, 0 for a run that is not kept."""
    match = _NAME.fullmatch(run_file.path.name)
    return int(match[1]) if match else 0
