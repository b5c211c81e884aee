"""Finds the run that a user means. In: what was typed. Out: a run of the project's store, or an error that lists them."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hookmon.collector.store import Run, RunFile, Store
from hookmon.config.find import find_project
from hookmon.core.errors import NotRunningError, RunFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hookmon.collector.live import LiveRun
    from hookmon.services.live import LiveService


def store_here() -> Store:
    """Return the store of the project in which the command was given."""
    return Store.of_project(find_project(Path.cwd()))


def find(store: Store, which: str, *, without: tuple[str, ...] = ()) -> Run:
    """Return the run of a number, a name, a path, or the newest for `last`; tables in `without` may be left out.

    Of several runs of one name it is the newest. A run that says it is running while its launcher is dead is read from its
    shards. Raises RunFileError when there is no such run or its file cannot be read.
    """
    run_file = find_file(store, which)
    return _complete(run_file, run_file.load(without=without))


def find_file(store: Store, which: str) -> RunFile:
    """Return the run file of a number, a name, a path, or the newest for `last`. Raises RunFileError when there is none."""
    numbers = store.numbers()
    if which.endswith(".sqlite") or os.sep in which or (not which.isdecimal() and Path(which).is_file()):
        return RunFile(Path(which))
    if not numbers:
        raise RunFileError(f"there is no run yet in {store.folder}; hookmon run COMMAND makes one", code="no-such-run")
    if which == "last":
        return store.run_file(numbers[-1])
    if which.isdecimal() and which.isascii():
        if int(which) not in numbers:
            raise RunFileError(f"there is no run {which}; {_describe_kept(numbers)}", code="no-such-run")
        return store.run_file(int(which))
    return _find_by_name(store, numbers, which)


def is_kept(store: Store, run: Run) -> bool:
    """Say whether a run is one of this project's: a run file from elsewhere may have the same number."""
    with suppress(RunFileError):
        return run.id in store.numbers() and store.run_file(run.id).head().started_at == run.started_at
    return False


def _find_by_name(store: Store, numbers: list[int], name: str) -> RunFile:
    names: list[str] = []
    for number in reversed(numbers):
        run_file = store.run_file(number)
        try:
            run = run_file.head()
        except RunFileError:
            continue  # another run's file is damaged: go on looking
        if run.name == name:
            return run_file
        names.append(run.name)
    from difflib import get_close_matches

    near = get_close_matches(name, [*filter(None, names), "last"], n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise RunFileError(f"there is no run named {name}{meant} ({_describe_kept(numbers)})", code="no-such-run")


def _complete(run_file: RunFile, run: Run) -> Run:
    if run.state != "running" and not os.path.isdir(run.run_folder):
        return run
    from hookmon.collector.recover import complete

    return complete(run_file, run_file.load())


def _describe_kept(numbers: list[int]) -> str:
    """Return which runs there are: `runs 3 to 5 and 7 are kept`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    texts = [f"{span[0]}" if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in spans]
    listed = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
    return f"run {listed} is kept" if len(numbers) == 1 else f"runs {listed} are kept"


def open_live(which: str, *, with_examples: bool = False) -> LiveRun:
    """Return the running run that is meant, with_examples as LiveRun has it. Raises NotRunningError when there is none."""
    from hookmon.collector.live import LiveRun, file_to_follow, find_running, has_process, is_running

    store = store_here()
    if not which:
        found = find_running(store)
        if not found:
            raise NotRunningError(f"nothing runs in {store.folder.parent}; hookmon run COMMAND starts a run")
        return LiveRun(*found[0], with_examples=with_examples)
    if which.isdecimal() and which.isascii():
        number = int(which)
        if number in store.numbers():
            run_file = store.run_file(number)
            with suppress(RunFileError):
                run_file, run = file_to_follow(run_file, run_file.head())
                if is_running(run):
                    return LiveRun(run_file, run, with_examples=with_examples)
        for candidate in (store, *_stores_above(number)):
            for run_file, run in find_running(candidate):
                if has_process(run, number):
                    return LiveRun(run_file, run, with_examples=with_examples)
        if number in store.numbers():
            raise NotRunningError(f"run {number} is not running; hookmon report {number} shows it")
        raise NotRunningError(f"{number} is neither a run of this project nor a process of one that is running")
    run_file = find_file(store, which)
    run_file, run = file_to_follow(run_file, run_file.head())
    if not is_running(run):
        raise NotRunningError(f"run {run.id} is not running; hookmon report {which} shows it")
    return LiveRun(run_file, run, with_examples=with_examples)


@contextmanager
def open_running(which: str) -> Iterator[list[LiveRun]]:
    """Give the running run that is meant, or all running runs of a service, open for looking at.

    A service goes before a run of that name. Raises NotRunningError where nothing runs, and as `find_file` does.
    """
    from hookmon.collector.live import LiveRun

    found = [LiveRun(*followed) for followed in _running_starts(which)] if which else []
    found = found or [open_live(which)]
    try:
        yield found
    finally:
        for live in found:
            live.close()


def open_service(which: str) -> LiveService | None:
    """Return a service of which something runs, all its starts together; None where there is none of that name."""
    found = _running_starts(which) if which else []
    if not found:
        return None
    from hookmon.services.live import LiveService

    began_s = time.time()
    return LiveService(which, lambda: _running_starts(which, began_s))


def _running_starts(service: str, since_s: float = 0) -> list[tuple[RunFile, Run]]:
    """Return the runs of a service that go on; none where there is no such service. Those that ended before are not looked at."""
    from hookmon.collector.live import file_to_follow, is_running
    from hookmon.core.errors import StoreError
    from hookmon.services import reading
    from hookmon.services.store import ServiceStore

    found = []
    with suppress(StoreError):
        for start in reading.starts(ServiceStore.of_user(find_project(Path.cwd())), service, since_s):
            with suppress(RunFileError):
                run_file = RunFile(start.run_file)
                run_file, run = file_to_follow(run_file, run_file.head())
                if run.run_key == start.key and is_running(run):
                    found.append((run_file, run))
    return found


def _stores_above(pid: int) -> list[Store]:
    """Return the stores of the projects in which a process and those above it were started."""
    import psutil

    stores: list[Store] = []
    with suppress(psutil.Error, OverflowError):
        process = psutil.Process(pid)
        for ancestor in (process, *process.parents()):
            with suppress(psutil.Error, OSError):
                store = Store.of_project(find_project(Path(ancestor.cwd())))
                if all(store.folder != other.folder for other in stores):
                    stores.append(store)
    return stores
