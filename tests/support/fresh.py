"""A fresh interpreter for everything that patches or records: the tests' own process stays as it is.

Fixtures; a conftest.py imports those it offers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from hookmon.collector.merge import Tree
from hookmon.collector.shards import ShardData, ShardReader
from hookmon.collector.store import Node

AGENT = Path(__file__).resolve().parents[2] / "agent"

PRELUDE = """
import importlib.util, os, sys, types
from hookmon.probe.recording import recorder
recorder.wrapt_folder = os.path.dirname(importlib.util.find_spec("wrapt").origin)
recorder.start(os.environ["FOLDER"], "test")
from hookmon.probe.patching.patcher import patch_module
from hookmon.probe.patching.patches import Patches
patches = Patches([])
_watches = []

def watch(module, *calls, span="", kind="function", nested=False, pack="", entry=False, entry_name="", entry_status="",
          entry_body="", waits=False, until=(), via="name"):
    _watches.append(len(_watches) + 1)
    plan = {"id": _watches[-1], "module": module.__name__, "calls": list(calls), "span": span, "kind": kind,
            "nested": nested, "pack": pack, "source": "test", "adapter": "", "entry": entry, "entry_name": entry_name,
            "entry_status": entry_status, "entry_body": entry_body, "waits": waits, "via": via}
    if until:
        plan["until"] = list(until)
    patch_module(module, module.__name__, [plan], patches)

def module(source, name="shop"):
    made = types.ModuleType(name)
    sys.modules[name] = made
    exec(compile(source, name + ".py", "exec"), vars(made))
    return made
"""


class Recorded:
    """What a program wrote, on its streams and into its shards."""

    def __init__(self, done: subprocess.CompletedProcess[str], folder: Path) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        self.shards: list[ShardData] = []
        tree = Tree()
        for path in sorted(folder.glob("*.shard")):
            reader = ShardReader(path)
            data = reader.read()
            reader.close()
            self.shards.append(data)
            tree.add(data, data.started_ns)
        self.nodes: list[Node] = tree.nodes
        self.signals = tree.signals
        self.examples = tree.examples
        self.statuses = list(tree.statuses.values())

    def paths(self) -> dict[tuple[str, ...], Node]:
        """Return the nodes by their path of names from the root."""
        names: list[tuple[str, ...]] = []
        for node in self.nodes:
            names.append((*(names[node.parent] if node.parent >= 0 else ()), node.name))
        return dict(zip(names, self.nodes, strict=True))

    def calls(self) -> dict[str, int]:
        """Return the completed calls by name, those without a call left out."""
        return self._sum("calls")

    def errors(self) -> dict[str, int]:
        """Return the errors by name."""
        return self._sum("errors")

    def interrupted(self) -> dict[str, int]:
        """Return the interrupted calls by name."""
        return self._sum("interrupted")

    def _sum(self, what: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for node in self.nodes:
            if getattr(node, what):
                found[node.name] = found.get(node.name, 0) + getattr(node, what)
        return found

    def by_status(self) -> dict[tuple[str, int], int]:
        """Return the completed requests by name and status."""
        return {(self.nodes[row.node].name, row.status): row.calls for row in self.statuses if row.calls}

    def watches(self) -> dict[str, tuple[int, str]]:
        """Return (status, detail) by target."""
        return {target: found for shard in self.shards for (_, target), found in shard.watches.items()}

    def notes(self) -> list[tuple[str, str]]:
        """Return what the probe noted."""
        return [note for shard in self.shards for note in shard.notes]


Fresh = Callable[..., Recorded]


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    """Run code in an interpreter that has the recorder started, and return what it recorded.

    `watch(module, *calls)` patches, `module(source)` makes a module; warnings are errors. The program has to end well and
    to print nothing on stderr, unless `fails` is set. `folder` keeps several runs of one test apart.
    """

    def run(
        code: str,
        *,
        prelude: str = PRELUDE,
        fails: bool = False,
        env: Mapping[str, str] | None = None,
        folder: str = "run",
        options: Sequence[str] = (),
    ) -> Recorded:
        run_folder = tmp_path / folder
        run_folder.mkdir(exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOOKMON", "PYTHON"))}
        environment |= {key: os.environ[key] for key in ("HOOKMON_ENGINE",) if key in os.environ}
        environment |= {"PYTHONPATH": str(AGENT), "FOLDER": str(run_folder), **(env or {})}
        if "HOOKMON_SANITIZED" in os.environ:  # see .ci/sanitizers
            environment |= {"LD_PRELOAD": os.environ["HOOKMON_SANITIZED"], "PYTHONMALLOC": "malloc"}
            environment |= {key: value for key, value in os.environ.items() if key in ("ASAN_OPTIONS", "UBSAN_OPTIONS")}
        done = subprocess.run(
            [sys.executable, "-W", "error", *options, "-c", prelude + textwrap.dedent(code)],
            capture_output=True,
            text=True,
            timeout=180,
            env=environment,
            cwd=tmp_path,
        )
        recorded = Recorded(done, run_folder)
        if not fails:
            assert (done.returncode, done.stderr) == (0, ""), f"exit code {done.returncode}\n{done.stderr}"
        return recorded

    return run


@pytest.fixture
def prelude() -> str:
    """What `fresh` runs before the code, for those who need something earlier."""
    return PRELUDE
