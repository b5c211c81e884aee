"""A `hookmon run` whose program is started before anything else is imported, and of a short one nothing else ever is.

In: the words after `run`. Out: the exit code; None where this is no line for it, and nothing was started: then the verb itself
does all of it. What it needs of the configuration is prepared (`_prepared`). The first moments belong to the program: on one
processor it would wait for every import of ours. One that lives longer, or leaves more than its birth note, is handed to the
collector (`_adopting`), which goes on as if it had been there. Runs in the launcher, imports built-in modules only.
"""

from __future__ import annotations

import os
import sys
import time

from hookmon.cli import _prepared, _words
from hookmon.collector import first_looks, launch, new_folder, short_run, signals, where
from hookmon.core import arguments, layout, plan

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.cli._adopting import Adoption
    from hookmon.collector.store import Run

_FIRST_LOOK_S = 0.002  # exec takes less than this, where there is a processor for it
_NEXT_LOOK_S = 0.05
_OWN_TIME_NS = 200_000_000  # so long the program is alone, not counting what it waits for a processor,
_LONGEST_NS = 2_000_000_000  # and that is at most so long
_SWEPT_NAME = "swept"
"""In the cache folder: when what killed launchers have left was looked through at the end of a short run."""

_SWEEP_S = 600  # or longer between two of these: what they left may be there for long, as processes that live on are
_FILES = (layout.CONTROL_NAME, plan.FILE_NAME, plan.ENGINES_FILE_NAME, plan.MODULES_FILE_NAME)

missing: tuple[str, dict[str, Any]] | None = None
"""The key for which there was no entry, and what was given: the verb prepares one at the end of its run."""


def run(words: list[str]) -> int | None:
    """Run a program; return its exit code, -N when signal N killed it, and None where nothing was started.

    Raises LaunchError and EarlySignal as `launch.start` does: then nothing is left behind.
    """
    global missing
    parsed = _words.parse(words)
    if parsed is None or not _is_possible():
        return None
    given, command = parsed
    path = launch.which(command[0], os.environ.get("PATH"))
    if path is None:
        return None
    try:
        key = _prepared.key_of({name: value for name, value in given.items() if name not in ("name", "quiet")}, os.getcwd())
    except OSError:
        return None
    entry = _prepared.read(key)
    if entry is None:
        missing = key, given
        return None
    return BriefRun(entry, given, command, path).run()


def _is_possible() -> bool:
    """Say whether this is an ordinary system: Linux with room in memory, where others reap what nobody waits for."""
    return (
        sys.platform == "linux"
        and os.getpid() != 1
        and not where.named()
        and first_looks.own_namespace() > 0
        and where.free_bytes(where.MEMORY) >= where.ROOM_BYTES
    )


class BriefRun:
    """One run, from its folder to its end."""

    folder: new_folder.NewFolder
    run_file: short_run.ShortRunFile | None = None

    def __init__(self, entry: dict[str, Any], given: dict[str, Any], command: list[str], path: str) -> None:
        self.entry = entry
        self.content = short_run.LateContent(entry["run_file"], entry["places"])
        self.command = command
        self._path = path  # of the command
        self.given = given
        self.values: dict[str, Any] = {}  # of the run, by field of store.Run
        self.begun: dict[str, Any] = {}  # as they were when it began
        self.looks = first_looks.FirstLooks(0)
        self.children: dict[int, first_looks.FirstLooks] = {}  # of the program
        self.used_ns = 0
        self.peak_bytes = 0
        self.adoption: Adoption | None = None
        self._wait_s = _FIRST_LOOK_S
        self._spawned_ns = 0
        arguments.redact = entry["redact"]

    def run(self) -> int | None:
        """Do it; see `run` of the module."""
        inherited = signals.hold()
        try:
            if not self._begin():
                signals.refuse_interrupted(inherited)
                return None
            folders = {"bootstrap": self.entry["bootstrap"], "agent": self.entry["agent"]}
            environment = launch.environment(os.environ, self.folder.path, **folders)
            try:
                pid = launch.start(self.command, environment, inherited, self._path)
            except BaseException:
                self._withdraw()
                raise
            self.looks.pid = self.values["main_pid"] = pid
            self._spawned_ns = time.monotonic_ns()
            code = launch.wait(pid, self._tick, self._look_at_end, self._note_usage)
        finally:
            signals.release(inherited)
        if self.adoption is None and not self._finish(code):
            self._adopt()
        run = self.adoption.finish(code) if self.adoption is not None else None
        if not self.given["quiet"]:
            self._report(run)
        self._sweep()
        return code

    def _begin(self) -> bool:
        """Make the run folder with the plan, and reserve a run file; False, with nothing left, where that is not possible."""
        if not os.path.isdir(where.MEMORY):
            return False
        entry = self.entry
        self.machine_ns, booted = first_looks.of_machine()
        began = first_looks.start_of_self()
        try:
            self.folder = folder = new_folder.make(where.MEMORY)
        except OSError:
            return False
        try:
            self.values = {
                "name": self.given["name"],
                "command": arguments.mask(self.command),
                "started_at": _iso_time(time.time()),
                "run_folder": folder.path,
                "run_key": folder.key,
                "launcher_pid": os.getpid(),
                "launcher_started": began * first_looks.TICK_NS / 1e9 + booted,
                "boot": entry["machine"][0],
                "pids": new_folder.pid_namespace(),
                "oldest": began,
                "started_ns": time.monotonic_ns(),
                "state": "running",
            }
            self.begun = self.values | {"more": {}, "interval_ns": 0}
            self.run_file = short_run.reserve(where.runs_of(entry["project"]), self.content, self.begun)
            if self.run_file is not None:
                self.values["id"] = self.run_file.number
                folder.write_note(self.run_file.path)
                more = {"run_folder": folder.path, "clock_source": launch.clock_source()}
                folder.write(layout.CONTROL_NAME, entry["control"])
                head, tail = plan.around(entry["plan"].size, more)
                folder.write(plan.FILE_NAME, head, entry["plan"], tail)
                if entry["engines"]:
                    folder.write(plan.ENGINES_FILE_NAME, entry["engines"])
                folder.write(plan.MODULES_FILE_NAME, entry["modules"])
                return True
        except OSError:
            pass
        self._withdraw()
        return False

    def _withdraw(self) -> None:
        """Leave nothing of a run that never was."""
        self.folder.remove(_FILES)
        if self.run_file is not None:
            self.run_file.withdraw()

    def _tick(self, look: Callable[[], None]) -> float:
        """Do what is due; return the seconds until there is something again. `look` is for the collector."""
        if self.adoption is not None:
            if self.adoption.collector is None:
                self._has_children()
            return self.adoption.tick(look)
        age_ns = time.monotonic_ns() - self._spawned_ns
        if not self.looks.seen_ns and age_ns >= _FIRST_LOOK_S * 1e9:
            self.looks.look()
            self._wait_s = _NEXT_LOOK_S if self.looks.seen_ns else min(_NEXT_LOOK_S, 2 * self._wait_s)
        elif self._is_alone_for(_OWN_TIME_NS, age_ns) or (self.looks.seen_ns and self._has_children()):
            self._adopt()
        return self._wait_s if self.adoption is None else 0.0

    def _has_children(self) -> bool:
        """Say whether children of the program were seen, or whether that cannot be told."""
        try:
            self.looks.look_at_children(self.children)
        except OSError:
            return True
        return bool(self.children)

    def _is_alone_for(self, own_ns: int, age_ns: int) -> bool:
        """Say whether the program has had so much time, or has waited for a processor for very long."""
        return age_ns >= _LONGEST_NS or (age_ns >= own_ns and age_ns - self.looks.time_waited_ns() >= own_ns)

    def _look_at_end(self) -> None:
        if self.adoption is not None and self.adoption.collector is not None:
            self.adoption.collector.look_at_ended_program()
        self.looks.look_at_end()

    def _note_usage(self, usage: Any) -> None:
        """Take what the kernel says of the program that has just been reaped, and of all that it had waited for."""
        self.used_ns = round((usage.ru_utime + usage.ru_stime) * 1e9)
        peak = usage.ru_maxrss * 1024
        if peak > first_looks.own_peak_bytes() and not self.looks.has_waited:  # else it may be ours, from before the exec
            self.peak_bytes = peak

    def _adopt(self) -> None:
        """Have the collector take over."""
        from hookmon.cli._adopting import Adoption

        self.adoption = Adoption(self)

    def _finish(self, code: int) -> bool:
        """Keep the run of a program that has ended; False where there is more to it than a birth note can tell."""
        run_file, folder = self.run_file, self.folder
        self.values["duration_ns"] = time.monotonic_ns() - self.values["started_ns"]
        if run_file is None:
            return False
        try:
            names = [name for name in os.listdir(folder.path) if name not in (*_FILES, new_folder.LOCK_FILE_NAME)]
            drop = os.path.join(folder.path, layout.DROP_NAME)
            if layout.DROP_NAME in names and not os.listdir(drop):
                names.remove(layout.DROP_NAME)
            notes = first_looks.notes_in(names, folder.path)
            if (
                self.children
                or not self.entry["is_settled"]
                or not len(names) == len(notes) == 1
                or not self._is_of_program(notes[0])
                or self._has_left_any()
                or not where.has_room(folder.path)
            ):
                return False
            run_file.save(self.content, self._last_values(code, notes[0]), self._rows(code, notes[0]))
        except (OSError, ValueError, LookupError):
            return False
        folder.remove((*_FILES, *names))
        run_file.drop_oldest(new_folder.others(folder.path))
        return True

    def _report(self, run: Run | None) -> None:
        """Write the report of the run, which stands in its file where no collector has it."""
        from hookmon.cli._telling import write_report

        if run is None:
            run = self._read()
        if run is not None:
            write_report(run, "text", None)

    def _read(self) -> Run | None:
        from pathlib import Path

        from hookmon.cli._telling import tell
        from hookmon.collector.store import RunFile
        from hookmon.core.errors import RunFileError
        from hookmon.report import unread_tables

        assert self.run_file is not None
        try:
            return RunFile(Path(self.run_file.path)).load(without=unread_tables("text"))
        except RunFileError as error:
            tell(f"hookmon: the report cannot be written: {error}")
            return None

    def _sweep(self) -> None:
        """Have somebody look, now and then, at what killed launchers have left."""
        mark = os.path.join(where.cache(), _SWEPT_NAME)
        if self.run_file is not None and _was_long_ago(mark) and new_folder.has_forsaken(new_folder.others(self.folder.path)):
            from hookmon.cli._adopted import sweep

            sweep(os.path.dirname(self.run_file.path), mark)

    def _is_of_program(self, note: first_looks.Note) -> bool:
        """Say whether a note is the program's, which was watched, and is the same program still."""
        known = self.looks
        is_same = (note.pid, note.namespace, note.started) == (known.pid, first_looks.own_namespace(), known.started)
        is_as_it_began = not known.seen_ns or (note.image == known.image and known.last_name == known.name)
        return is_same and is_as_it_began and not note.status

    def _has_left_any(self) -> bool:
        """Say whether a process of the run lives that nobody has waited for: one with its run folder in the environment."""
        variable = os.fsencode(f"HOOKMON_RUN={self.folder.path}")
        return any(first_looks.has_in_environment(pid, variable) for pid in first_looks.younger_pids(self.looks.pid))

    def _last_values(self, code: int, note: first_looks.Note) -> dict[str, Any]:
        known, values = self.looks, self.values
        return values | {
            "state": "finished",
            "exit_code": code,
            "python": note.python,
            "others_ns": max(0, first_looks.of_machine()[0] - self.machine_ns - known.cpu_ns),
            "used_ns": self.used_ns,
            "beside_ns": known.beside_ns(values["duration_ns"]),
            "launcher_cpu_ns": time.process_time_ns(),
            "launcher_rss_max_bytes": first_looks.own_peak_bytes(),
        }

    def _rows(self, code: int, note: first_looks.Note) -> dict[str, list[dict[str, Any]]]:
        known = self.looks
        row = self.entry["process"] | known.row(self.peak_bytes)
        row |= {
            "python": note.python,
            "state": "killed" if code < 0 else "exited",
            "exit_code": code,
            "started_ns": max(known.started_ns, self.values["started_ns"]),
            "identity": f"{note.namespace} {note.pid} {note.started}",
        }
        if not known.seen_ns:  # it has ended before it could be looked at
            return {"processes": [row | {"command": arguments.mask(note.argv)}]}
        return {"processes": [row], "samples": [known.sample(self.values["started_ns"])]}


def _was_long_ago(path: str) -> bool:
    try:
        return not 0 <= time.time() - os.stat(path).st_mtime < _SWEEP_S
    except OSError:
        return True


def _iso_time(now: float) -> str:
    """Return a moment as datetime's isoformat does, with milliseconds and the offset of the local time."""
    local = time.localtime(now)
    minutes = local.tm_gmtoff // 60
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + f".{int(now * 1000) % 1000:03d}{offset}"
