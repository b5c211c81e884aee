"""Cells of a Jupyter kernel, asked for by a real client: those that ran against the kernel's own count, and their failures."""

from __future__ import annotations

import pytest
from support.clients import children
from support.engines import ENGINES

from .conftest import Compared

KERNEL = """
    import os, sys
    folder = os.getcwd()
    os.environ.update(dict.fromkeys(("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"), folder))
    from jupyter_client import KernelManager
    from jupyter_client.kernelspec import KernelSpec
    manager = KernelManager()
    line = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=line, language="python", display_name="shop")
    with open(os.devnull, "w") as log: manager.start_kernel(stdout=log, stderr=log)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=50)
    def ask(text):
        reply = client.execute_interactive(text, timeout=50, output_hook=lambda message: None)["content"]
        return reply["status"], reply["execution_count"]
    print(ask(f"import sqlite3, asyncio; card = {SECRET!r}"))
    for _ in range(3): print(ask('sqlite3.connect(":memory:").execute("SELECT 1").fetchall()'))
    print(ask("await asyncio.sleep(0)"), ask("raise ValueError(card)"), ask("1 +"))
    client.stop_channels()
    manager.shutdown_kernel()
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_each_cell_of_a_kernel_is_a_transaction(engine: str, compared: Compared) -> None:
    """What a cell asks for is in it; one that raises, or that is no Python, has failed."""
    needs = ["ipykernel", "jupyter_client"]
    under = compared(KERNEL, needs=needs, env={"HOOKMON_ENGINE": engine}, packs=["ipython", "sqlite3"])
    assert under.stdout.split("\n")[-2] == "('ok', 5) ('error', 6) ('error', 7)"
    rows = [(row["name"], row["calls"], row["errors"]) for row in under.report["transactions"] if row["kind"] == "task"]
    assert rows == [("IPython cell", 7, 2)]
    selected = {key: calls for key, calls in children(under, "sql").items() if key[2].startswith("SELECT ?")}
    assert selected == {("IPython cell", "", "SELECT ?"): 3}
