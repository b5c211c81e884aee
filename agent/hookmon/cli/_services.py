"""Services for verbs: nothing of the room `services` is imported where a run belongs to none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import process_time_ns

from hookmon.cli._telling import tell
from hookmon.core.errors import StoreError

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.feed import Observer
    from hookmon.collector.store import Run
    from hookmon.config.load import Config
    from hookmon.services.store import ServiceStore


def named(option: str, config: Config, *, is_off: bool = False) -> str:
    """Return the name of the service that a run belongs to, "" for none: the option's, else the configuration's.

    `is_off` is --no-service. Raises UsageError where the option has no name of a service, or both were given.
    """
    import click

    from hookmon.config.checks import service

    if is_off:
        if option:
            raise click.UsageError("--service and --no-service say opposite things: give one of them")
        return ""

    for mistake in service(option):
        raise click.UsageError(f"--service: {mistake.found}; allowed is {mistake.allowed}")
    return option or config.service


def store_of(project: Path) -> ServiceStore:
    """Return the store of services, with one line for the user where a damaged one is set aside."""
    from hookmon.services.store import ServiceStore

    return ServiceStore.of_user(project, tell)


def settle(service: str, project: Path) -> None:
    """Write what starts whose launchers were killed have counted since they last wrote, at the start of another one.

    Nothing happens for a run that belongs to no service. A store that cannot be used is told of by who writes the minutes.
    """
    if service:
        from hookmon.services import recovery

        with suppress(StoreError):
            recovery.settle(store_of(project))


def recorders(run: Run, run_file: Path, own_cpu_ns: Callable[[], int] = process_time_ns) -> list[Observer]:
    """Return who keeps the minutes of a run, as observers of it: none where it belongs to no service.

    `own_cpu_ns` is as a Recorder has it.
    """
    if not run.service:
        return []
    from hookmon.services.recorder import Recorder

    return [Recorder(run, run_file, store_of(Path(run.project)), tell=tell, own_cpu_ns=own_cpu_ns)]
