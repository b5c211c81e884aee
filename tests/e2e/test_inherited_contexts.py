"""Threads that inherit the context of who started them, as CPython 3.14 and newer can have it for all threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.interpreters import need, need_compiled
from support.runs import hookmon_run, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")
ENGINES = pytest.mark.parametrize("engine", ["compiled", "pure"])
VERSIONS = ["3.14", "3.15"] if "HOOKMON_BOTH" in os.environ else ["3.14"]

SHOP = """
def handle(name, work): return work()
def job(): pass
"""
PROGRAM = """
import contextvars, queue, threading
import shop
jobs, done = queue.SimpleQueue(), queue.SimpleQueue()
def run():
    while (job := jobs.get()) is not None: done.put(job())
def start(): threading.Thread(target=run, daemon=True).start()
def ask(job):
    jobs.put(job)
    done.get()
shop.handle("first", lambda: [start(), ask(shop.job)])          # in the request that has started the worker
for _ in range(3): shop.handle("later", lambda: ask(shop.job))  # of nobody: the first request is over
copies = []
shop.handle("copy", lambda: copies.append(contextvars.copy_context()))
ask(lambda: copies[0].run(shop.job))                            # as the program wants it
"""
CONFIG = '[packs]\ndisable = ["*"]\n' + watch("shop", "handle", kind="request", entry=True, span="{arg0}") + watch("shop", "job")


@ENGINES
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("inherits", [0, 1])
def test_a_worker_leaves_the_request_that_started_it_when_that_ends(
    inherits: int, version: str, engine: str, tmp_path: Path
) -> None:
    """Its next jobs stand for themselves, as where threads inherit nothing; a context handed on by hand stays the request's."""
    python = need_compiled(version) if engine == "compiled" else need(version)
    write(tmp_path, {"shop.py": SHOP, "app.py": PROGRAM})
    command = [python, "-X", f"thread_inherit_context={inherits}", "app.py"]
    result = hookmon_run(command, cwd=tmp_path, config=CONFIG, env={"HOOKMON_ENGINE": engine})
    assert result.exit_code == 0, result.stderr
    tree = result.report["tree"]

    def path(node: dict[str, Any]) -> str:
        above = tree[node["parent"]] if node["parent"] >= 0 else None
        return f"{path(above)} > {node['name']}" if above else node["name"]

    found = {path(node): node["calls"] for node in tree if node["name"] == "job"}
    own = {"first > (concurrent) > job": 1, "job": 3} if inherits else {"job": 4}
    assert found == own | {"copy > (after) > job": 1}
