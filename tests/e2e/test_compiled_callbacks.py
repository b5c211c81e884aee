"""Callbacks of hooks in the hands of libraries that read code, copy, pickle, check and replace: all is as without us."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from support import engines
from support.runs import PYTHON, bare_run, blind_spots, calls, hookmon_run, write

pytestmark = [pytest.mark.usefixtures("warm_launcher"), pytest.mark.process]

ENGINES = pytest.mark.parametrize("engine", engines.ENGINES)

BUS = """
    class Bus:
        def __init__(self):
            self.listeners = []
        def on(self, listener):
            self.listeners.append(listener)
        def send(self, *args):
            return [listener(*args) for listener in self.listeners]
"""
BUS_HOOK = '[packs]\ndisable = ["*"]\n[[hook]]\nmodule = "bus"\ncalls = ["Bus.on"]\ncallable = "listener"\n'

LISTENERS = """
    def plain(number: int, factor: int = 2) -> int:
        return number * factor

    def make(more):
        def closed(number: int) -> int:
            return number + more
        return closed

    class Plugin:
        def __init__(self):
            self.number = 0
        def on_event(self, number: int = 1) -> int:
            self.number += number
            return self.number
"""

REGISTERING = """
    import copy, functools, pickle, subprocess, sys, warnings
    from unittest import mock
    import bus, listeners
    warnings.simplefilter("ignore")

    def local(number: int, factor: int = 3) -> int:
        return number * factor

    plugin = listeners.Plugin()
    part = functools.partial(listeners.plain, factor=7)
    own = [listeners.plain, listeners.make(5), local, lambda number: number - 1, plugin.on_event, part]
    callbacks = bus.Bus()
    for callback in own:
        callbacks.on(callback)
    held = callbacks.listeners
    print(callbacks.send(1))

    def show(*what):
        *names, function = what
        try:
            print(*names, function())
        except Exception as error:
            print(*names, type(error).__name__, str(error).split("\\n")[0])

"""

READERS = {
    "copy": """
    show("deep copy", lambda: copy.deepcopy(callbacks).send(2))
    show("copy", lambda: copy.copy(callbacks).send(2))
    show("pickle", lambda: pickle.loads(pickle.dumps([held[0], held[4], held[5]]))[1](1))
    show("closure", lambda: pickle.dumps(held[1]))
    print(plugin.number)
    """,
    "mock": """
    with mock.patch.object(listeners.Plugin, "on_event", autospec=True) as made:
        made.return_value = 9
        print(plugin.on_event(), made.call_count)
    show("spec", lambda: mock.create_autospec(held[2])(1) is not None)
    show("spec", lambda: mock.create_autospec(held[2])())
    print(plugin.number, callbacks.send(1))
    """,
    "cloudpickle": """
    import cloudpickle as LIBRARY
    """,
    "dill": """
    import dill as LIBRARY
    """,
    "beartype": """
    import beartype
    for number in range(4):
        show(number, lambda: beartype.beartype(held[number])(1))
        show(number, lambda: beartype.beartype(held[number])("x"))
    """,
    "typeguard": """
    import typeguard
    for number in range(4):
        show(number, lambda: typeguard.typechecked(held[number])(1))
        show(number, lambda: typeguard.typechecked(held[number])("x"))
    """,
}
BY_VALUE = """
    for number, value in enumerate([callbacks, *held]):
        def elsewhere():
            text = "import LIBRARY, sys; o = LIBRARY.loads(sys.stdin.buffer.read()); o = getattr(o, 'send', o); print(o(1))"
            text = "import sys; sys.path.append('.'); " + text + "; print([name for name in sys.modules if 'hookmon' in name])"
            data = LIBRARY.dumps(value)
            return subprocess.run([sys.executable, "-I", "-c", text], input=data, capture_output=True).stdout
        show(number, lambda: getattr(again := LIBRARY.loads(LIBRARY.dumps(value)), "send", again)(1))
        show(number, elsewhere)
"""


@ENGINES
@pytest.mark.parametrize("library", list(READERS))
def test_whoever_looks_at_callbacks_finds_what_there_is_without_us(library: str, engine: str, tmp_path: Path) -> None:
    """A function of the module, a closure, one of the script, a lambda, a method and a partial, held by the framework."""
    if library in ("cloudpickle", "dill", "beartype", "typeguard"):
        pytest.importorskip(library)
    program = REGISTERING + READERS[library]
    if "LIBRARY" in program:
        program = (program + BY_VALUE).replace("LIBRARY", library)
    write(tmp_path, {"bus.py": BUS, "listeners.py": LISTENERS, "app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=BUS_HOOK, env={"HOOKMON_ENGINE": engine})
    assert bare.exit_code == 0, bare.stderr
    assert under.seen == bare.seen
    assert calls(under.report, "local") >= 1


COMPILING = """
    import numba
    for number in range(4):
        show(number, lambda: numba.njit(held[number])(1))
        show(number, lambda: numba.njit(own[number])(1))
"""


@ENGINES
def test_a_compiled_callback_is_named(engine: str, tmp_path: Path) -> None:
    """numba takes it from the framework or from the program; what it made of it is not counted."""
    if importlib.util.find_spec("numba") is None:
        pytest.skip("numba is not installed (60 MB with LLVM)")
    write(tmp_path, {"bus.py": BUS, "listeners.py": LISTENERS, "app.py": REGISTERING + COMPILING})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=BUS_HOOK, env={"HOOKMON_ENGINE": engine})
    assert under.seen == bare.seen
    assert {spot.removeprefix("compiled: numba compiled ").partition(";")[0] for spot in blind_spots(under.report)} == {
        "listeners:plain",
        "listeners:make.<locals>.closed",
        "__main__:local",
        "__main__:<lambda>",
    }
    assert [calls(under.report, name) for name in ("local", "make.closed")] == [1, 1]


TORCH_HOOK = (
    '[packs]\ndisable = ["*"]\n[[hook]]\nmodule = "torch.nn.modules.module"\n'
    'calls = ["Module.register_forward_hook", "Module.register_forward_pre_hook"]\ncallable = "hook"\n'
)

TORCH = """
    import copy, functools, io, torch, torch._dynamo
    from torch.optim.swa_utils import AveragedModel
    x = torch.ones(2, 3)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)
            torch.nn.init.ones_(self.layer.weight), torch.nn.init.zeros_(self.layer.bias)
        def forward(self, x):
            return self.layer(x)

    def double(module, args, output, k=2):
        return output * k

    def before(module, args):
        return (args[0] + 1,)

    class Observer:
        number = 0
        def __call__(self, module, args, output):
            self.number += 1
        def method(self, module, args, output, more=1):
            return output + more

    observer = Observer()
    parted = functools.partial(double, k=3)
    for hook in (double, parted, observer, observer.method, lambda module, args, output, more=1: output + more):
        net = Net()
        handle = net.register_forward_hook(hook)
        net.register_forward_pre_hook(before)
        print(net(x).flatten().tolist(), copy.deepcopy(net)(x).flatten().tolist(), AveragedModel(net)(x).flatten().tolist())
        for whole in (False, True):
            torch._dynamo.reset()
            print(torch.compile(net, backend="eager", fullgraph=whole)(x).flatten().tolist())
        handle.remove()
        print(net(x).flatten().tolist(), len(net._forward_hooks), observer.number)
"""


@ENGINES
def test_hooks_of_torch_are_copied_and_compiled(engine: str, tmp_path: Path) -> None:
    """Models with hooks are copied, averaged and compiled, in whole graphs too."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed (200 MB and more)")
    write(tmp_path, {"app.py": TORCH})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=TORCH_HOOK, env={"HOOKMON_ENGINE": engine})
    assert bare.exit_code == 0, bare.stderr
    assert under.seen == bare.seen
    assert calls(under.report, "double") >= 3
    assert any(spot.startswith("compiled: torch.compile compiled __main__:double;") for spot in blind_spots(under.report))
