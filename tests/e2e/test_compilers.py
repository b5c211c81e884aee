"""Libraries that make something else of a function's code get what they get without us; the report names what is lost."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from support import engines
from support.runs import PYTHON, Report, Result, bare_run, blind_spots, calls, hookmon, hookmon_run, watch, watch_row, write

from hookmon.core.plan import READS_CODE
from hookmon.probe.finder import READERS
from hookmon.probe.start import Arrivals

pytestmark = [pytest.mark.usefixtures("warm_launcher"), pytest.mark.process]

ENGINES = pytest.mark.parametrize("engine", engines.ENGINES)
NO_PACKS = "[packs]\ndisable = ['*']\n"


def need_library(name: str, size: str) -> None:
    """Skip a test whose library is not there. It is not imported here: that takes seconds."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed ({size})")


def run_as_bare(folder: Path, engine: str, config: str) -> Result:
    """Run app.py without hookmon and with it; the program must see no difference."""
    bare = bare_run([PYTHON, "app.py"], cwd=folder)
    under = hookmon_run([PYTHON, "app.py"], cwd=folder, config=NO_PACKS + config, env={"HOOKMON_ENGINE": engine})
    assert bare.exit_code == 0, bare.stderr
    assert under.seen == bare.seen
    return under


def compiled(report: Report, compiler: str) -> set[str]:
    """Return the functions that the report says a compiler has taken."""
    said = [spot.removeprefix(f"compiled: {compiler} compiled ") for spot in blind_spots(report) if spot.startswith("compiled: ")]
    assert all(text.endswith("; calls of the compiled code are not seen") for text in said)
    return {text.partition(";")[0] for text in said}


SHOP = """
    import functools

    def deco(function):
        @functools.wraps(function)
        def inner(*args, **keywords):
            return function(*args, **keywords)
        return inner

    def plain(number, factor=2.0, *, more=1):
        return number * factor + more

    @deco
    def decorated(number, factor=3):
        return number * factor

    def factorial(number):
        return 1 if number < 2 else number * factorial(number - 1)

    def make(factor):
        def scale(number):
            return number * factor
        return scale

    scaled = make(4)
    doubled = lambda number: number * 2

    def numbers(count):
        for number in range(count):
            yield number

    def outer(number):
        def inner(other):
            return other + 1
        return inner(number) + inner(1)

    class Basket:
        def __init__(self, size=1):
            self.size = size
        def total(self, factor=2):
            return self.size * factor
        @staticmethod
        def fixed(number):
            return number
        @property
        def price(self):
            return self.size
"""

BY_VALUE = """
    import hashlib, subprocess, sys
    import LIBRARY as pickler
    import shop

    USES = {
        "plain": "o(3)", "decorated": "o(3)", "factorial": "o(5)", "make": "o(3)(4)", "scaled": "o(3)", "numbers": "list(o(3))",
        "outer": "o(3)", "Basket": "(o(3).total(), o.fixed(1), o(5).price)",
    }
    if pickler.__name__ == "cloudpickle":
        pickler.register_pickle_by_value(shop)
    else:  # dill sends what no name leads to
        shop.nested = shop.make(2)
        USES = {"scaled": "o(3)", "nested": "o(4)", "doubled": "o(1)", "decorated": "o(2)"}
    text = "import sys; sys.path.append('.'); import LIBRARY; o = LIBRARY.loads(sys.stdin.buffer.read()); print({})"
    for name, use in USES.items():
        data = pickler.dumps(getattr(shop, name))
        # a class is sent with a random number
        print(name, len(data), name == "Basket" or hashlib.sha256(data).hexdigest())
        program = text.format(use) + "; print([name for name in sys.modules if name.startswith('hookmon')])"
        subprocess.run([sys.executable, "-I", "-c", program], input=data, check=True)
    print(shop.plain(1), shop.decorated(1), shop.factorial(3), shop.scaled(2), list(shop.numbers(2)), shop.outer(2))
    print(shop.Basket().total(), shop.Basket().price)
"""


@ENGINES
@pytest.mark.parametrize("library", ["cloudpickle", "dill"])
def test_what_is_sent_by_value_is_byte_for_byte_that_of_a_plain_run(library: str, engine: str, tmp_path: Path) -> None:
    """And runs where there is no hookmon. The functions that stay are counted."""
    need_library(library, "300 KB")
    if library == "dill" and sys.version_info >= (3, 15):
        pytest.skip("dill 0.4.1 does not know code objects of CPython 3.15, with or without hookmon")
    write(tmp_path, {"shop.py": SHOP, "app.py": BY_VALUE.replace("LIBRARY", library)})
    report = run_as_bare(tmp_path, engine, watch("shop", "**")).report
    counted = {name: calls(report, f"shop:{name}") for name in ("plain", "decorated", "factorial", "numbers", "outer")}
    assert counted == {"plain": 1, "decorated": 1, "factorial": 3, "numbers": 1, "outer": 1}
    assert calls(report, "shop:make.<locals>.scale") == 1
    assert {spot.partition(":")[0] for spot in blind_spots(report)} == {"not watched"}  # the processes with -I


NUMBA = """
    ORDER
    for name, args in (("plain", (2.0, 1.0)), ("factorial", (5,)), ("scaled", (3,)), ("outer", (2,)), ("numbers", (3,))):
        dispatcher = numba.njit(getattr(shop, name))
        try:
            result = dispatcher(*args)
        except Exception as error:  # a recursion by a name that is not compiled
            print(name, type(error).__name__, error)
            continue
        print(name, list(result) if hasattr(result, "__next__") else result, dispatcher.py_func is getattr(shop, name))
        print(dispatcher.stats, dispatcher.__name__, dispatcher.signatures)

    @numba.njit
    def caller(number):
        return scaled(number) + shop_scaled(number)

    @numba.njit
    def scaled(number):
        return number + 1

    shop_scaled = numba.njit(shop.scaled)
    print(caller(2), numba.vectorize(shop.make(2))(3.0), numba.cfunc("float64(float64)")(shop.make(3)).ctypes(2.0))
    print(shop.plain(1.0), shop.factorial(3), caller.py_func(1))
"""


@ENGINES
@pytest.mark.parametrize("order", ["import numba, shop", "import shop, numba"], ids=["first", "last"])
def test_numba_compiles_what_it_compiles_without_us(order: str, engine: str, tmp_path: Path) -> None:
    """Each function that it has taken is named; calls of the Python function itself are counted as ever."""
    need_library("numba", "60 MB with LLVM")
    write(tmp_path, {"shop.py": SHOP, "app.py": NUMBA.replace("ORDER", order)})
    report = run_as_bare(tmp_path, engine, watch("shop", "**") + watch("__main__", "caller", "scaled")).report
    named = {"shop:plain", "shop:factorial", "shop:outer", "shop:numbers", "shop:make.<locals>.scale"}
    assert compiled(report, "numba") - {"shop:outer.<locals>.inner"} == named | {"__main__:caller", "__main__:scaled"}
    assert [calls(report, f"shop:{name}") for name in ("plain", "factorial", "outer")] == [1, 3, 0]
    assert calls(report, "__main__:caller") == 1


KERNELS = """
    import numpy as np
    from numba import guvectorize, njit, objmode, prange, stencil, types
    from numba.experimental import jitclass
    from numba.extending import overload, register_jitable

    @jitclass([("x", types.int64)])
    class Point:
        def __init__(self, x):
            self.x = x
        def double(self):
            return self.x * 2

    @njit(parallel=True)
    def total(values):
        result = 0.0
        for i in prange(values.shape[0]):
            result += values[i]
        return result

    @guvectorize(["(float64[:], float64, float64[:])"], "(n),()->(n)")
    def added(values, more, result):
        for i in range(values.shape[0]):
            result[i] = values[i] + more

    @stencil
    def kernel(values):
        return values[-1] + values[1]

    @njit
    def smoothed(values):
        return kernel(values)

    def replaced(x):
        return x

    @overload(replaced, inline="always")
    def of_replaced(x):
        def implementation(x):
            return x + 40
        return implementation

    @njit
    def replacing(number):
        return replaced(number)

    @njit(cache=True)
    def cached(number):
        return number + 1

    @register_jitable
    def shared(number):
        return number + 5

    def in_python(number):
        return number

    @njit
    def mixed(number):
        with objmode(y="int64"):
            y = in_python(number) + 1
        return shared(y)

    @njit
    def nested(number):
        def inner(other):
            return other + number
        return inner(2) + sum([inner(i) for i in range(3)])
"""

RUNNING_KERNELS = """
    import numpy as np
    import kernels
    values = np.arange(4.0)
    print(kernels.Point(3).double(), kernels.total(values), kernels.added(values, 2.0), kernels.smoothed(values))
    print(kernels.replacing(3), kernels.cached(3), kernels.mixed(3), kernels.nested(3), kernels.cached.py_func(1))
"""


def test_numba_makes_all_that_it_makes_without_us(tmp_path: Path) -> None:
    """Classes, threads, stencils, overloads, what it keeps on disk, and what goes back into Python."""
    need_library("numba", "60 MB with LLVM")
    write(tmp_path, {"kernels.py": KERNELS, "app.py": RUNNING_KERNELS})
    report = run_as_bare(tmp_path, "compiled", watch("kernels", "**")).report
    assert {"kernels:total", "kernels:smoothed", "kernels:nested", "kernels:Point.double"} <= compiled(report, "numba")
    assert [calls(report, f"kernels:{name}") for name in ("in_python", "cached")] == [1, 1]


LAYERS = """
    import functools, torch

    def deco(function):
        @functools.wraps(function)
        def inner(*args, **keywords):
            return function(*args, **keywords)
        return inner

    def scale(x, k=2.0):
        return x * k

    def one(x):
        return x + 1

    def keyword(x, *, k=2.0):
        return x * k

    def make(k):
        def closed(x):
            return x * k
        return closed

    closed = make(3)

    @deco
    def decorated(x, k=2):
        return x * k

    @torch.no_grad()
    def without_gradient(x, k=3):
        return x * k

    def parts(x):
        for i in range(3):
            yield x * i

    def recursive(x, n):
        return x if n == 0 else recursive(x * 2, n - 1)

    def guarded(x):
        try:
            for i in range(2):
                x = x + i
            return x
        finally:
            x = x * 2

    def broken(x, k=2):
        y = scale(x)
        print("a break of the graph")
        z = decorated(y, k)
        torch._dynamo.graph_break()
        return z + recursive(x, 2)

    def outer(x):
        return scale(x) + keyword(x) + decorated(x) + closed(x)

    class Net(torch.nn.Module):
        def twice(self, x, k=2):
            return x * k
        @staticmethod
        def fixed(x, k=2):
            return x + k
        @classmethod
        def of_class(cls, x, k=2):
            return x - k
        def forward(self, x):
            return scale(self.twice(x)) + self.fixed(x) + self.of_class(x)
"""

TORCH = """
    ORDER
    from torch._dynamo.testing import CompileCounter
    x = torch.ones(4)

    def show(name, function, *args, **how):
        torch._dynamo.reset()
        print(name, torch.compile(function, backend="eager", **how)(*args))

    for whole in (False, True):
        show("default", lambda x: layers.scale(x), x, fullgraph=whole)
        show("keyword", lambda x: layers.keyword(x), x, fullgraph=whole)
        show("closure", lambda x: layers.closed(x), x, fullgraph=whole)
        show("decorated", lambda x: layers.decorated(x), x, fullgraph=whole)
        show("gradient", lambda x: layers.without_gradient(x), x, fullgraph=whole)
        show("module", layers.Net(), x, fullgraph=whole)
        show("itself", layers.scale, x, fullgraph=whole)
        show("generator", lambda x: sum(layers.parts(x)), x, fullgraph=whole)
        show("recursion", lambda x: layers.recursive(x, 3), x, fullgraph=whole)
        show("finally", lambda x: layers.guarded(x), x, fullgraph=whole)
    show("broken", layers.broken, x)
    net = layers.Net()
    net.compile(backend="eager")
    print(net(x))
    counter = CompileCounter()
    compiled = torch.compile(layers.outer, backend=counter)
    compiled(x), compiled(x)
    print(counter.frame_count, counter.op_count, torch._dynamo.explain(layers.outer)(x).graph_break_count)
    print(torch.export.export(layers.Net(), (x,)).module()(x))
    print(torch.jit.trace(layers.one, (x,))(x), torch.fx.symbolic_trace(layers.one)(x), torch.jit.script(layers.one)(x))
    print(layers.scale(x), layers.decorated(x), layers.Net()(x))

    @torch.compile(backend="eager")
    def own(x, k=3.0):
        return layers.scale(x) * k

    print(own(x))
"""


@ENGINES
@pytest.mark.parametrize("order", ["import torch, layers", "import layers, torch"], ids=["first", "last"])
def test_torch_compile_sees_no_function_of_ours(order: str, engine: str, tmp_path: Path) -> None:
    """Whole graphs and broken ones are those of a plain run. What it has taken is named; calls outside are counted."""
    need_library("torch", "200 MB and more")
    write(tmp_path, {"layers.py": LAYERS, "app.py": TORCH.replace("ORDER", order)})
    report = run_as_bare(tmp_path, engine, watch("layers", "**") + watch("__main__", "own")).report
    named = compiled(report, "torch.compile")
    assert {"layers:scale", "layers:keyword", "layers:decorated", "layers:Net.twice", "layers:parts", "__main__:own"} <= named
    assert not any("resume" in name for name in named)  # what torch makes where a graph is broken
    assert calls(report, "layers:decorated") == 1
    assert calls(report, "layers:Net.forward") >= 1
    assert watch_row(report, "layers:**")["status"] == "active"


def test_the_start_knows_the_modules_that_read_code() -> None:
    """It imports nothing that would tell."""
    assert set(READERS) == READS_CODE.keys()
    assert READS_CODE.keys() <= Arrivals.BESIDES


def test_what_a_compiler_has_taken_is_explained(tmp_path: Path) -> None:
    """`hookmon help compiled` says what to do."""
    assert "numba" in hookmon(["help", "compiled"], cwd=tmp_path).stdout


CHECKED = """
    import functools
    from LIBRARY import DECORATOR as checked

    @checked
    def double(number: int) -> int:
        return number * 2

    def nothing(function):
        return function

    @nothing
    @checked
    def handed_on(number: int, factor: int = 2) -> int:
        return number * factor

    @checked
    class Basket:
        def method(self, number: int) -> int:
            return number
        @staticmethod
        def fixed(number: int) -> int:
            return number

    def make(factor):
        @checked
        def inner(number: int) -> int:
            return number * factor
        return inner

    def local():
        class Price:
            pass
        @checked
        def pay(price: Price) -> None:
            return None
        return pay

    def late(number: int) -> int:
        return number

    class Late:
        def method(self, number: int) -> int:
            return number
"""

CHECKING = """
    import inspect, warnings
    warnings.simplefilter("error")
    import LIBRARY, shop

    def show(function, *args):
        try:
            print(function.__name__, function(*args))
        except Exception as error:
            print(function.__name__, type(error).__name__, str(error).split("\\n")[0])

    check = LIBRARY.DECORATOR
    for function in (
        *(shop.double, shop.handed_on, shop.Basket().method, shop.Basket.fixed, shop.make(2)),
        *(shop.local(), check(shop.late), check(shop.Late)().method),
    ):
        show(function, 2)
        show(function, "x")
    print(inspect.signature(shop.double), shop.double.__annotations__, shop.late(3))
"""


@ENGINES
@pytest.mark.parametrize(
    ("library", "decorator", "wrong"),
    [("typeguard", "typechecked", 1), ("beartype", "beartype", 0)],
    ids=["typeguard", "beartype"],
)
def test_checked_functions_are_checked_and_counted(library: str, decorator: str, wrong: int, engine: str, tmp_path: Path) -> None:
    """typeguard makes each function anew, with checks in it: a wrong argument is a call. beartype checks before the call."""
    need_library(library, "1 MB")
    files = {"shop.py": CHECKED, "app.py": CHECKING}
    write(tmp_path, {name: text.replace("LIBRARY", library).replace("DECORATOR", decorator) for name, text in files.items()})
    report = run_as_bare(tmp_path, engine, watch("shop", "**")).report
    counted = [
        calls(report, f"shop:{name}") for name in ("double", "handed_on", "make.<locals>.inner", "local.<locals>.pay", "late")
    ]
    assert counted == [1 + wrong, 1 + wrong, 1 + wrong, 2 * wrong, 2 + wrong]
    has_wrappers = "name" in watch_row(report, "shop:**")["via"]  # 3.11: around what the decorator of the class has made of them
    methods = [calls(report, f"shop:{name}") for name in ("Basket.method", "Basket.fixed", "Late.method")]
    assert methods[0] == 2 if has_wrappers else methods == [1 + wrong] * 3
    assert blind_spots(report) == []


LIBRARY_IN_WORK = """
    import functools

    def deco(function):
        @functools.wraps(function)
        def inner(*args, **keywords):
            return function(*args, **keywords)
        return inner

    def price(number, k=1):
        return number * FACTOR

    @deco
    def tax(number):
        return number * FACTOR

    def parts(number):
        yield number * FACTOR

    def make(k):
        def inner(number):
            return number * k * FACTOR
        return inner

    two = make(2)

    class Basket:
        def __init__(self, number):
            self.number = number * FACTOR
        def total(self):
            return self.number * FACTOR
        @staticmethod
        def fixed(number):
            return number * FACTOR
        @classmethod
        def of_class(cls, number):
            return number * FACTOR
        @property
        def price(self):
            return self.number * FACTOR
"""

EDITING = """
    import os, sys
    from IPython.core.interactiveshell import InteractiveShell
    text = open("version.txt").read()

    def edit(factor):
        with open("lib.py", "w") as file:
            file.write(text.replace("FACTOR", str(factor)))
        os.utime("lib.py", (1e9 + factor, 1e9 + factor))

    edit(2)
    sys.path.insert(0, os.getcwd())
    shell = InteractiveShell.instance()
    AUTORELOAD
    shell.run_cell("import importlib, lib; from lib import price, tax, two, Basket; basket = Basket(1)")
    for factor in (2, 3, 4):
        edit(factor)
        RELOAD
        shell.run_cell("print(lib.price(10), price(10), lib.tax(10), tax(10), list(lib.parts(1)), two(1), lib.two(1))")
        shell.run_cell("print(basket.total(), Basket(1).total(), basket.fixed(1), basket.of_class(1), basket.price)")
"""


@ENGINES
@pytest.mark.parametrize("way", ["autoreload", "reload"])
def test_functions_that_are_reloaded_go_on_being_counted(way: str, engine: str, tmp_path: Path) -> None:
    """importlib.reload makes functions anew; IPython's autoreload gives those that are there new code."""
    need_library("IPython", "5 MB")
    autoreload = 'shell.run_line_magic("load_ext", "autoreload"); shell.run_line_magic("autoreload", "2")'
    put = {"AUTORELOAD": autoreload if way == "autoreload" else "", "RELOAD": 'shell.run_cell("importlib.reload(lib);")'}
    put["RELOAD"] = put["RELOAD"] if way == "reload" else ""
    program = EDITING
    for name, line in put.items():
        program = program.replace(name, line)
    write(tmp_path, {"version.txt": LIBRARY_IN_WORK, "app.py": program})
    (tmp_path / "ipython").mkdir()
    report = run_as_bare(tmp_path, engine, watch("lib", "**")).report
    for name in ("price", "deco.<locals>.inner", "make.<locals>.inner", "Basket.total"):
        assert calls(report, f"lib:{name}") == 6, name
    for name in ("parts", "Basket.fixed", "Basket.of_class", "Basket.price"):
        assert calls(report, f"lib:{name}") == 3, name


SWAPPING = """
    import shop

    def edit(function, more):
        "Give a function other code, as profilers, debuggers and hot reloaders do."
        code = function.__code__
        function.__code__ = code.replace(co_firstlineno=code.co_firstlineno + more)

    getter = shop.Basket.price.fget
    def call_all():
        print(shop.plain(1), shop.factorial(2), list(shop.numbers(2)))
        print(shop.Basket(1).total(), shop.scaled(1), shop.Basket(1).price)

    call_all()
    for more in (1, 2):
        for function in (shop.plain, shop.factorial, shop.numbers, shop.Basket.total, shop.scaled, getter, shop.Basket.__init__):
            edit(function, more)
        call_all()
"""


def test_functions_that_get_other_code_go_on_being_counted(tmp_path: Path) -> None:
    """Whoever gives it to them. With the pure engine from 3.12 on nobody tells of it."""
    write(tmp_path, {"shop.py": SHOP, "app.py": SWAPPING})
    report = run_as_bare(tmp_path, "compiled", watch("shop", "**", "Basket")).report
    names = ("plain", "factorial", "numbers", "Basket.total", "make.<locals>.scale", "Basket.price", "Basket")
    assert [calls(report, f"shop:{name}") for name in names] == [3, 6, 3, 3, 3, 3, 6]


SENDING_ON = """
    import copy, inspect, pickle, types, weakref
    from unittest import mock
    import shop

    print(copy.copy(shop.plain) is shop.plain, copy.deepcopy([shop.plain])[0] is shop.plain)
    print(pickle.loads(pickle.dumps(shop.plain)) is shop.plain)
    with mock.patch("shop.plain", autospec=True) as made:
        made.return_value = 7
        print(shop.plain(1), made.call_count)
        try:
            shop.plain()
        except TypeError as error:
            print(error)
    with mock.patch("shop.plain", wraps=shop.plain) as made:
        print(shop.plain(3), made.call_count)
    with mock.patch.object(shop.Basket, "total", autospec=True) as made:
        shop.Basket(2).total()
        print(made.call_count, made.call_args.args[0].size)
    with mock.patch.object(shop.Basket, "price", new_callable=mock.PropertyMock, return_value=3):
        print(shop.Basket().price)
    print(mock.create_autospec(shop.Basket)().total is not None, mock.create_autospec(shop.decorated)(2) is not None)
    basket = shop.Basket(3)
    copied, deep = copy.copy(basket), copy.deepcopy(basket)
    copied.size = 9
    print(basket.total(), copied.total(), deep.total())
    again = types.FunctionType(shop.scaled.__code__, vars(shop), "again", None, shop.scaled.__closure__)
    print(again(1), shop.plain(1), hasattr(shop.plain, "__wrapped__"))
    print(inspect.signature(shop.plain), inspect.getsource(shop.plain))
    print(weakref.ref(shop.plain)() is shop.plain, shop.decorated.__wrapped__(2))
"""


@ENGINES
def test_mocks_and_copies_are_those_of_a_plain_run(engine: str, tmp_path: Path) -> None:
    """What a mock replaces is not called; a copy of a function is counted with it where it has its code."""
    write(tmp_path, {"shop.py": SHOP, "app.py": SENDING_ON})
    report = run_as_bare(tmp_path, engine, watch("shop", "**")).report
    names = ("plain", "Basket.total", "make.<locals>.scale", "decorated")
    assert [calls(report, f"shop:{name}") for name in names] == [2, 3, 1, 1]
