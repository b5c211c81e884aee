"""Launchers that are killed while they write: nothing is there by halves, and who goes on goes on where the store is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

from support.moved_services import BEGINNING_S, Program, Sums, add_to, store_in, sums_of, sums_of_hours

from hookmon.services.places import Places
from hookmon.services.reading import RECOVERED
from hookmon.services.writing import About, StartWriter, State

WRITER = """
import sys
from pathlib import Path
from hookmon.services.places import Places
from hookmon.services.writing import About, StartWriter, State
from support.moved_services import BEGINNING_S, Program, store_in

store, key, steps = store_in(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
program, places = Program(20, 3, int(key)), Places()
writer = StartWriter(store, About("web", key, "/none", ["python"], "", "/none", "test", "", BEGINNING_S))
for number in range(steps):
    program.work()
    at_s = BEGINNING_S + 60 * number
    counts = places.count([(program.nodes, ())])
    writer.write(State(at_s, int(at_s // 60), list(places.rows), counts))
    print(number, flush=True)
"""

_STEPS = 150


def test_writers_that_are_killed_lose_nothing(tmp_path: Path):
    """Four write at once and are killed at any moment; the rest of each is the difference to what the store has."""
    rng = Random(7)
    store = store_in(tmp_path)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    expected: Sums = {}
    for batch in range(2):
        keys = [str(batch * 4 + number) for number in range(4)]
        started = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(tmp_path), key, str(_STEPS)], env=env, stdout=subprocess.PIPE, text=True
            )
            for key in keys
        ]
        for process in started:
            assert process.stdout is not None
            for _ in range(rng.randrange(2, 12)):
                assert process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
        for key, process in zip(keys, started, strict=True):
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
            program, places = Program(20, 3, int(key)), Places()
            for _ in range(_STEPS):
                program.work()
            counts = places.count([(program.nodes, ())])
            about = About("web", key, "/none", ["python"], "", "/none", "test", "", BEGINNING_S)
            end_s = BEGINNING_S + 60 * _STEPS
            StartWriter(store, about).write(State(end_s, int(end_s // 60), places.rows, counts, end=RECOVERED))
            add_to(expected, sums_of(program.nodes))
        assert sums_of_hours(store, "web") == expected
    assert not list(tmp_path.glob("*.damaged-*"))
