"""`hookmon runs`: the runs that are kept: listed, named, removed, and carried to another machine in one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookmon.cli import _output, _runs
from hookmon.core.errors import HookmonError, RunFileError

if TYPE_CHECKING:
    from hookmon.collector.store import Run, RunFile, Store


@click.group("runs", invoke_without_command=True, short_help="List, name, remove, export and import runs.")
@_output.as_json
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the runs that are kept, the newest first.

    RUN in the commands below is a number, a name, or "last".
    """
    if ctx.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    store = _runs.store_here()
    rows = [_row(store.run_file(number), number) for number in reversed(store.numbers())]
    if as_json:
        _output.print_json(rows)
        return
    if not rows:
        raise RunFileError(f"there is no run yet in {store.folder}; hookmon run COMMAND makes one", code="no-such-run")
    from hookmon.report.screen import Column, Piece, Screen
    from hookmon.report.texts import duration, ending

    screen = Screen(sys.stdout)
    cells: list[list[Piece]] = []
    for row in rows:
        bad = row["problem"] or row["exit_code"] not in (0, None)
        length = duration(row["duration_ns"]) if row["duration_ns"] else "–"
        owner = f"belongs to {row['owner']}" if row["owner"] else ""
        what = owner or row["problem"] or row["command"]
        end = ("closed" if owner else row["state"] or "damaged") if row["problem"] else ending(row["exit_code"], row["state"])
        cells.append(
            [
                (str(row["run"]), "bold"),
                (row["name"], "cyan"),
                (row["started_at"][:16].replace("T", " "), "dim"),
                (length, ""),
                (end, "red" if bad else ""),
                (what, ""),
            ]
        )
    columns = [
        Column("run"),
        Column("name", least=8),
        Column("started", rank=2, least=16),
        Column("time", rank=1),
        Column("end", least=7),
        Column("command", least=12),
    ]
    screen.table(columns, cells)
    screen.write()


def _row(run_file: RunFile, number: int) -> dict[str, Any]:
    """Return a run as plain values; `problem` says why it cannot be read, `owner` to which other user it belongs, or "" each."""
    from shlex import join

    from hookmon.collector.users import other_owner

    row: dict[str, Any] = {"run": number, "name": "", "started_at": "", "state": "", "duration_ns": 0, "exit_code": None}
    row |= {"command": "", "path": str(run_file.path), "owner": other_owner(run_file.path), "problem": ""}
    try:
        run = run_file.head()
    except RunFileError as error:
        return row | {"problem": str(error), "state": "not saved" if error.code == "nothing-saved" else ""}
    state = "killed" if run.state == "running" and not row["owner"] and not _is_running(run) else run.state
    row |= {"name": run.name, "started_at": run.started_at, "state": state, "duration_ns": run.duration_ns}
    return row | {"exit_code": run.exit_code, "command": join(run.command)}


def _is_running(run: Run) -> bool:
    from hookmon.collector.recover import launcher_is_alive

    return launcher_is_alive(run)


@command.command("name")
@click.argument("run")
@click.argument("name")
@_output.as_json
def name(run: str, name: str, as_json: bool) -> None:
    """Call a run NAME, by which it is found again; "" takes its name away."""
    if name.isdecimal() or name == "last" or "/" in name or name.endswith(".sqlite"):
        raise HookmonError(f"{name!r} cannot be the name of a run: it means another one", code="not-a-name")
    store = _runs.store_here()
    run_file = _find_kept(store, run)
    run_file.rename(name)
    _say(as_json, [run_file], f"run {_number(run_file)} is called {name}" if name else f"run {_number(run_file)} has no name now")


@command.command("remove")
@click.argument("runs", nargs=-1, required=True)
@_output.as_json
def remove(runs: tuple[str, ...], as_json: bool) -> None:
    """Delete runs for good. One that goes on stays."""
    store = _runs.store_here()
    found = list({run_file.path: run_file for run_file in (_find_kept(store, run) for run in runs)}.values())
    for run_file in found:
        _refuse_running(run_file)
    for run_file in found:
        try:
            run_file.delete()
        except OSError as error:
            raise RunFileError(f"{run_file.path}: the run cannot be removed: {error.strerror}", code="run-file") from error
    _say(as_json, found, "\n".join(f"run {_number(run_file)} is removed" for run_file in found))


@command.command("export")
@click.argument("run")
@click.argument("file", type=click.Path(path_type=Path))
@_output.as_json
def export(run: str, file: Path, as_json: bool) -> None:
    """Write a run into FILE, which any machine with hookmon can read and import."""
    from hookmon.collector.store import RunFile

    _refuse_running(_find_kept(_runs.store_here(), run))
    found = _runs.find(_runs.store_here(), run)
    _create(file)
    try:
        RunFile(file).save(_make_portable(found))
    except RunFileError:
        file.unlink(missing_ok=True)
        raise
    _say(as_json, [RunFile(file)], f"run {found.id} is in {file}")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_output.as_json
def import_(file: Path, as_json: bool) -> None:
    """Keep the run in FILE, as the newest of this project."""
    from hookmon.collector.store import RunFile, number_of

    run = _make_portable(RunFile(file).load())
    run_file = _runs.store_here().reserve()
    run.id = number_of(run_file)
    try:
        run_file.save(run)
    except RunFileError:
        run_file.path.unlink(missing_ok=True)
        raise
    _say(as_json, [run_file], f"run {run.id}")


def _make_portable(run: Run) -> Run:
    """Return a run that refers to nothing of the machine where it was made.

    Its run folder above all: hookmon deletes those that were left behind, and a file that somebody sent must not say which.
    """
    run.run_folder = ""
    run.run_key = ""
    run.folded = []
    run.launcher_pid = 0
    run.launcher_started = 0.0
    run.state = "recovered" if run.state == "running" else run.state
    return run


def _find_kept(store: Store, which: str) -> RunFile:
    """Return the file of a run of this project. Raises RunFileError when there is no such run."""
    numbers = store.numbers()
    if which.isdecimal() and which.isascii() and int(which) in numbers:
        return store.run_file(int(which))  # also one that cannot be read
    if "/" in which or which.endswith(".sqlite"):
        raise RunFileError(f"{which}: a run of this project is meant by its number or its name", code="no-such-run")
    return store.run_file(_runs.find(store, which).id)


def _refuse_running(run_file: RunFile) -> None:
    try:
        run = run_file.head()
    except RunFileError:
        return
    if run.state == "running" and _is_running(run):
        raise RunFileError(f"run {_number(run_file)} still goes on", code="still-running")


def _create(file: Path) -> None:
    """Make an empty file, private as the run is. Raises HookmonError when there is one already."""
    import os

    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise HookmonError(f"{file}: there is such a file already", code="file-exists") from None
    except OSError as error:
        raise _output.write_error(file, "the run", error) from error


def _number(run_file: RunFile) -> int:
    from hookmon.collector.store import number_of

    return number_of(run_file)


def _say(as_json: bool, run_files: list[RunFile], text: str) -> None:
    if as_json:
        _output.print_json([{"run": _number(run_file), "path": str(run_file.path)} for run_file in run_files])
        return
    from hookmon.report.texts import inert

    for line in text.split("\n"):
        click.echo(inert(line))
