"""The import hook: modules are what they are without us, whoever imports them and however."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest
from support import interpreters
from support.runs import PYTHON, bare_run, calls, hookmon_run, watch, watch_row, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

LIBRARY = {
    "shop.py": """
        \"\"\"What things cost.\"\"\"
        import sys

        RATE = 2

        def quote(number):
            \"\"\"Return a price.\"\"\"
            return RATE * number

        if __name__ == "__main__":
            print("as a program", quote(4), sys.argv[1:], __spec__.name)
    """,
    "pkg/__init__.py": "from pkg.inner import inside\n\ndef at_top():\n    return inside()\n",
    "pkg/inner.py": "def inside():\n    return 'in'\n",
    "pkg/data.txt": "some data\n",
    "ns/part/mod.py": "def deep():\n    return 'deep'\n",
    "left.py": "import right\n\ndef to_right():\n    return right.name()\n\ndef name():\n    return 'left'\n",
    "right.py": "import left\n\ndef to_left():\n    return left.name()\n\ndef name():\n    return 'right'\n",
    "fails.py": "def before():\n    return 1\n\nraise RuntimeError('not today')\n",
    "twice.py": """
        import os
        def once():
            return 1
        if not os.path.exists("second"):
            open("second", "w").close()
            raise ImportError("try again")
    """,
    "starter.py": """
        import threading
        import importlib

        def work():
            import shop
            results.append(shop.quote(1))
            import pkg.inner
            results.append(pkg.inner.inside())

        results = []
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(20)

        def ask():
            return results, thread.is_alive()
    """,
    "slow.py": "import time\ntime.sleep(0.3)\n\ndef quick():\n    return 1\n",
    "chameleon.py": """
        import sys, types

        class Module(types.ModuleType):
            def colour(self):
                return "green"

        def colour():
            return "grey"

        replacement = Module(__name__)
        replacement.__spec__ = __spec__
        sys.modules[__name__] = replacement
    """,
    "lazy_names.py": """
        def known():
            return 1

        def __getattr__(name):
            if not name.startswith("__"):
                print("asked for", name)
            raise AttributeError(name)
    """,
    "reexport.py": "from shop import quote\n",
    "stubborn.py": """
        import sys, types

        class Stubborn(types.ModuleType):
            def __setattr__(self, name, value):
                if name in ("fixed",):
                    raise AttributeError("read-only")
                super().__setattr__(name, value)

        def fixed():
            return "fixed"

        class Meta(type):
            def __setattr__(cls, name, value):
                raise TypeError("this class is closed")

        class Closed(metaclass=Meta):
            def method(self):
                return "closed"

        def free():
            return "free"

        sys.modules[__name__].__class__ = Stubborn
    """,
}

CONFIG = "".join(
    [
        watch("shop", "quote"),
        watch("pkg", "at_top"),
        watch("pkg.inner", "inside"),
        watch("ns.part.mod", "deep"),
        watch("left", "to_right", "name"),
        watch("right", "to_left", "name"),
        watch("fails", "before"),
        watch("twice", "once"),
        watch("starter", "ask"),
        watch("slow", "quick"),
        watch("chameleon", "colour"),
        watch("lazy_names", "known", "unknown"),
        watch("zipped", "inside_zip"),
        watch("virtual", "hello"),
        watch("__hello__", "main"),
        watch("bisect", "insort"),
        watch("json.decoder", "JSONDecoder.decode"),
    ]
)

ASKS = {  # program, {target: calls}
    "loader and spec are the real ones": (
        """
        import importlib.machinery, sys
        import shop, pkg.inner
        for module in (shop, pkg, pkg.inner):
            print(type(module.__loader__), module.__spec__.loader is module.__loader__, module.__spec__, module)
            print(sorted(vars(module)), module.__file__, getattr(module, '__cached__', None), module.__package__, module.__doc__)
        print(shop.quote(1), pkg.at_top())
        """,
        {"shop:quote": 1, "pkg:at_top": 1, "pkg.inner:inside": 1},
    ),
    "resources and sources are found": (
        """
        import importlib.resources, importlib.util, inspect, linecache, pkgutil
        import shop, pkg
        print(importlib.resources.files("pkg").joinpath("data.txt").read_text())
        print(importlib.resources.files(pkg), pkgutil.get_data("pkg", "data.txt"))
        print(inspect.getsource(shop), inspect.getsource(shop.quote), inspect.getsourcelines(pkg.at_top))
        print(inspect.getfile(shop.quote), inspect.getmodule(shop.quote), linecache.getline(shop.__file__, 5))
        print([name for _, name, _ in pkgutil.iter_modules(pkg.__path__)], importlib.util.find_spec("pkg.inner"))
        print(shop.__loader__.get_source("shop") == inspect.getsource(shop), shop.__loader__.is_package("shop"))
        print(pkgutil.resolve_name("shop:quote")(2), importlib.util.find_spec("shop").origin)
        """,
        {"shop:quote": 1},
    ),
    "runpy": (
        """
        import runpy, sys
        print(runpy.run_module("shop")["quote"](3))
        runpy.run_module("shop", run_name="__main__", alter_sys=True)
        print(runpy.run_path("shop.py")["quote"](3), "shop" in sys.modules)
        """,
        {},
    ),
    "reload wraps again, once": (
        """
        import importlib, inspect
        import shop
        first = shop.quote
        shop.quote(1)
        for _ in range(3):
            assert importlib.reload(shop) is shop
        print(shop.quote(1), first is shop.quote, inspect.unwrap(shop.quote).__code__.co_filename == shop.__file__)
        print(first(2), shop.quote.__name__)
        """,
        {"shop:quote": 3},
    ),
    "deleted and imported anew": (
        """
        import sys
        import shop
        old = shop
        del sys.modules["shop"]
        import shop
        print(old is shop, old.quote(1), shop.quote(2))
        """,
        {"shop:quote": 2},
    ),
    "LazyLoader": (
        """
        import importlib.util, sys
        spec = importlib.util.find_spec("shop")
        loader = importlib.util.LazyLoader(spec.loader)
        spec.loader = loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["shop"] = module
        loader.exec_module(module)
        print(type(module).__name__, module.quote(4), type(module).__name__)
        """,
        {"shop:quote": 1},
    ),
    "spec_from_file_location": (
        """
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("shop", "shop.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["shop"] = module
        spec.loader.exec_module(module)
        print(module.quote(4), spec.loader is module.__loader__)
        import shop
        print(shop is module)
        """,
        None,  # loaded past every finder: seen or not, it must work
    ),
    "namespace package": (
        "import ns.part.mod\nprint(ns.part.mod.deep(), ns.__path__, type(ns.__loader__), ns.__spec__.origin)",
        {"ns.part.mod:deep": 1},
    ),
    "circular imports": (
        "import left, right\nprint(left.to_right(), right.to_left())",
        {"left:to_right": 1, "right:to_left": 1, "left:name": 1, "right:name": 1},
    ),
    "frozen and builtin modules": (
        """
        import _imp, json, sys, __hello__, bisect
        __hello__.main()
        numbers = [1, 3]
        bisect.insort(numbers, 2)
        print(numbers, __hello__.__spec__.origin, type(__hello__.__loader__), json.loads("[1]"))
        """,
        {"__hello__:main": 1, "json.decoder:JSONDecoder.decode": 1},
    ),
    "zipimport": (
        """
        import sys
        sys.path.insert(0, "library.zip")
        import zipped, inspect
        print(zipped.inside_zip(), type(zipped.__loader__), zipped.__file__, inspect.getsource(zipped.inside_zip))
        """,
        {"zipped:inside_zip": 1},
    ),
    "two threads import at once": (
        """
        import threading
        start = threading.Barrier(8)
        def load():
            start.wait()
            import slow
            results.append(slow.quick())
        results = []
        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join(20)
        print(results)
        """,
        {"slow:quick": 8},
    ),
    "a library that starts a thread while it is imported": (
        "import starter\nprint(starter.ask())",
        {"starter:ask": 1, "shop:quote": 1, "pkg.inner:inside": 1},
    ),
    "a module that replaces itself": ("import chameleon\nprint(chameleon.colour(), type(chameleon).__name__)", None),
    "module __getattr__": ("import lazy_names\nprint(lazy_names.known())", {"lazy_names:known": 1}),
    "a reference taken by from-import": (
        "from shop import quote\nimport reexport\nprint(quote(1), reexport.quote(1), quote is reexport.quote)",
        {"shop:quote": 2},
    ),
    "failing imports fail the same way": (
        """
        import traceback
        for _ in range(2):
            try:
                import fails
            except RuntimeError:
                traceback.print_exc()
        try:
            import twice
        except ImportError as error:
            print(repr(error), error.name, error.path)
        import twice
        print(twice.once())
        try:
            import pkg.nothing
        except ImportError as error:
            print(repr(error), error.name, error.path)
        try:
            from shop import nothing
        except ImportError as error:
            print(repr(error), error.name, error.path)
        """,
        {"twice:once": 1, "fails:before": 0},
    ),
    "own finders before and after": (
        """
        import importlib.abc, importlib.util, sys

        class Loader(importlib.abc.Loader):
            def create_module(self, spec):
                return None
            def exec_module(self, module):
                exec("def hello():\\n    return 'virtual'", vars(module))

        class Finder(importlib.abc.MetaPathFinder):
            def __init__(self, name):
                self.name = name
            def find_spec(self, fullname, path=None, target=None):
                seen.append((self.name, fullname))
                if fullname == "virtual" and self.name == "last":
                    return importlib.util.spec_from_loader(fullname, Loader())

        seen = []
        sys.meta_path.insert(0, Finder("first"))
        sys.meta_path.append(Finder("last"))
        import virtual, shop
        print(virtual.hello(), shop.quote(1), type(virtual.__loader__).__name__, virtual.__spec__)
        print(sorted({asked for asked in seen if asked[1] in ("virtual", "shop")}))
        """,
        {"virtual:hello": 1, "shop:quote": 1},
    ),
    "old-style loader": (
        """
        import sys, types, importlib.machinery, warnings
        warnings.simplefilter("ignore")

        class Loader:
            def load_module(self, name):
                module = sys.modules.setdefault(name, types.ModuleType(name))
                module.__loader__ = self
                exec("def hello():\\n    return 'old'", vars(module))
                return module

        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                return importlib.machinery.ModuleSpec(name, Loader()) if name == "virtual" else None

        sys.meta_path.insert(0, Finder)
        import virtual
        import colorsys  # the finder before ours took the first module past us: the next import is where we notice
        print(virtual.hello(), type(virtual.__loader__).__name__)
        """,
        {"virtual:hello": 1},
    ),
    "old-style loader behind us": (
        """
        import sys, types, importlib.machinery, warnings
        warnings.simplefilter("ignore")

        class Loader:
            def load_module(self, name):
                module = sys.modules.setdefault(name, types.ModuleType(name))
                module.__loader__ = self
                exec("def hello():\\n    return 'old'", vars(module))
                return module

        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                return importlib.machinery.ModuleSpec(name, Loader()) if name == "virtual" else None

        sys.meta_path.append(Finder)
        import virtual
        print(virtual.hello(), type(virtual.__loader__).__name__, type(virtual.__spec__.loader).__name__)
        """,
        {"virtual:hello": 1},
    ),
    "meta_path emptied by the program": (
        """
        import sys
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder.__class__ is type]
        import shop
        print(shop.quote(1))
        """,
        None,
    ),
    "invalidate_caches, iter_modules, metadata": (
        """
        import importlib, importlib.metadata, pkgutil, sys
        importlib.invalidate_caches()
        print(sorted(module.name for module in pkgutil.iter_modules(["."])))
        print(any(True for _ in importlib.metadata.distributions()), importlib.util.find_spec("no_such_module"))
        print([type(finder).__name__ for finder in sys.meta_path if "hookmon" not in repr(finder)])
        """,
        {},
    ),
    "importing star and submodule attribute": (
        "from shop import *\nfrom pkg import inner\nimport pkg.inner as alias\nprint(quote(2), inner.inside(), alias is inner)",
        {"shop:quote": 1, "pkg.inner:inside": 1},
    ),
}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with all modules of LIBRARY and one in a zip."""
    write(tmp_path, LIBRARY)
    with zipfile.ZipFile(tmp_path / "library.zip", "w") as archive:
        archive.writestr("zipped.py", "def inside_zip():\n    return 'zip'\n")
    return tmp_path


@pytest.mark.parametrize(("program", "counts"), ASKS.values(), ids=ASKS)
def test_imports_are_those_of_a_bare_run(program: str, counts: dict[str, int] | None, library: Path) -> None:
    """What a program sees of its modules, and what it prints, is the same as without us; and the calls are counted."""
    if "load_module" in program and sys.version_info >= (3, 15):
        pytest.skip("Python 3.15 calls load_module no more")
    write(library, {"app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=library)
    (library / "second").unlink(missing_ok=True)
    under = hookmon_run([PYTHON, "app.py"], cwd=library, config=CONFIG)
    assert bare.exit_code == 0, bare.stderr
    assert under.seen == bare.seen
    if counts is not None:
        assert {target: calls(under.report, target) for target in counts} == counts


def test_watched_module_runs_as_a_program(library: Path) -> None:
    """`python -m watched.module` runs the module as without us."""
    bare = bare_run([PYTHON, "-m", "shop", "x"], cwd=library)
    under = hookmon_run([PYTHON, "-m", "shop", "x"], cwd=library, config=CONFIG)
    assert bare.stdout == "as a program 8 ['x'] shop\n"
    assert under.seen == bare.seen


def test_importtime_prints_what_it_prints(library: Path) -> None:
    """`python -X importtime` works, and names no more than a handful of modules beyond the program's own."""
    write(library, {"app.py": "import json"})

    def modules(stderr: str) -> set[str]:
        return {line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")}

    bare = modules(bare_run([PYTHON, "-X", "importtime", "app.py"], cwd=library).stderr)
    under = hookmon_run([PYTHON, "-X", "importtime", "app.py"], cwd=library, config=watch("shop", "quote"))
    assert len(modules(under.stderr) - bare) <= 6  # five, and the header's or sitecustomize's own line


def test_coverage_measures_what_it_measures(library: Path) -> None:
    """Under `coverage run` both work: the lines are those of a bare coverage run, the calls are counted."""
    pytest.importorskip("coverage")
    write(library, {"app.py": "import shop\nprint(shop.quote(2))\n"})
    command = [PYTHON, "-m", "coverage", "run", "--include", "shop.py,app.py", "app.py"]
    read = [PYTHON, "-m", "coverage", "json", "-q", "-o", "-"]
    bare_run(command, cwd=library)
    bare = json.loads(bare_run(read, cwd=library).stdout)
    (library / ".coverage").unlink()
    result = hookmon_run(command, cwd=library, config=CONFIG)
    under = json.loads(bare_run(read, cwd=library).stdout)
    assert calls(result.report, "shop:quote") == 1
    assert {name: file["executed_lines"] for name, file in under["files"].items()} == {
        name: file["executed_lines"] for name, file in bare["files"].items()
    }


def test_editable_finders_are_served(library: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A module that comes through an editable install's finder is watched like any other."""
    folder = tmp_path_factory.mktemp("editable")
    python = interpreters.new_virtualenv(folder / "venv")
    finder = """
    import sys
    from importlib.util import spec_from_file_location

    class EditableFinder:
        @classmethod
        def find_spec(cls, fullname, path=None, target=None):
            if fullname == "elsewhere":
                return spec_from_file_location(fullname, {path!r})

    def install():
        sys.meta_path.append(EditableFinder)
    """
    write(folder, {"src/elsewhere.py": "def far():\n    return 'far'\n", "app.py": "import elsewhere\nprint(elsewhere.far())\n"})
    packages = interpreters.site_packages(python)
    write(packages, {"__editable___finder.py": finder.format(path=str(folder / "src" / "elsewhere.py"))})
    (packages / "__editable__.pth").write_text("import __editable___finder; __editable___finder.install()\n")
    result = hookmon_run([str(python), "app.py"], cwd=folder, config=watch("elsewhere", "far"))
    assert (result.stdout, result.stderr) == ("far\n", "")
    assert calls(result.report, "elsewhere:far") == 1


def test_bad_watches_never_disable_the_others(library: Path) -> None:
    """What cannot be found or patched is named in the report, each by itself; the rest is watched, the program runs."""
    program = """
    import shop, stubborn, datetime, _bisect
    print(shop.quote(1), stubborn.fixed(), stubborn.Closed().method(), stubborn.free(), datetime.datetime.now() is not None)
    """
    config = (
        watch("shop", "quotte", "RATE", "Nothing.method", "quote")
        + watch("stubborn", "fixed", "Closed.method", "free")
        + watch("datetime", "datetime.now")
        + watch("never_imported", "anything")
        + watch("pkg.no_such_part", "anything")
    )
    write(library, {"app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=library, config=config)
    assert (result.stdout, result.stderr, result.exit_code) == ("2 fixed closed free True\n", "", 0)
    report = result.report
    assert (calls(report, "shop:quote"), calls(report, "stubborn:free")) == (1, 1)
    assert watch_row(report, "shop:quotte")["status"] == "not found"
    assert "quote" in watch_row(report, "shop:quotte")["detail"]
    assert watch_row(report, "shop:Nothing.method")["status"] == "not found"
    assert watch_row(report, "shop:RATE")["status"] in ("refused", "not found")
    for target in ("stubborn:fixed", "stubborn:Closed.method"):  # hard to patch: either it worked, or it is said
        assert watch_row(report, target)["status"] == ("active" if calls(report, target) else "refused")
    assert watch_row(report, "datetime:datetime.now")["status"] == "refused"
    assert watch_row(report, "never_imported:anything")["status"] == "never imported"
    assert watch_row(report, "pkg.no_such_part:anything")["status"] == "never imported"


# lightness

ASK_MODULES = "import json, sys\nprint(json.dumps(sorted(sys.modules)))\n"
HEAVY = {"threading", "socket", "ssl", "asyncio", "logging", "typing", "wrapt", "psutil", "json", "re", "dataclasses"}


def test_start_adds_few_modules(tmp_path: Path) -> None:
    """Before the program's first line at most four modules more are loaded than in a bare interpreter, none of them heavy."""
    program = "import sys\nprint(*sorted(sys.modules))\n"
    python = interpreters.base_python()
    bare = set(bare_run([python, "-c", program], cwd=tmp_path).stdout.split())
    result = hookmon_run([python, "-c", program], cwd=tmp_path, config=watch("shop", "quote"))
    added = set(result.stdout.split()) - bare
    assert len(added - {"sitecustomize"}) <= 4, added
    assert not added & HEAVY


def test_unwatched_imports_are_left_alone(tmp_path: Path) -> None:
    """A program that imports nothing that is watched never sees wrapt, and its modules carry their own loaders."""
    program = """
    import sys, asyncio, email.message, unittest
    print("wrapt" in sys.modules, [name for name, module in sys.modules.items()
        if "hookmon" in repr(getattr(module, "__loader__", None)) or "hookmon" in repr(getattr(module, "__spec__", None))
        and not name.startswith(("hookmon", "sitecustomize"))])
    """
    write(tmp_path, {"app.py": program})
    result = hookmon_run([interpreters.base_python(), "app.py"], cwd=tmp_path, config=watch("shop", "quote"))
    assert result.stdout == "False []\n"


@pytest.mark.parametrize("options", [[], ["-W", "error"]], ids=["default", "-W error"])
def test_gevent_patches_a_clean_process(options: list[str], library: Path) -> None:
    """`gevent.monkey.patch_all()` warns of nothing and dead-locks nowhere, with watched modules loaded before and after it."""
    pytest.importorskip("gevent")
    program = """
    import shop
    shop.quote(1)
    from gevent import monkey
    monkey.patch_all()
    import gevent, threading, pkg
    def work():
        shop.quote(2)
        gevent.sleep(0.001)
        pkg.at_top()
    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads: thread.start()
    for thread in threads: thread.join(10)
    gevent.joinall([gevent.spawn(work) for _ in range(20)], raise_error=True)
    print("done")
    """
    write(library, {"app.py": program})
    bare = bare_run([PYTHON, *options, "app.py"], cwd=library)
    under = hookmon_run([PYTHON, *options, "app.py"], cwd=library, config=CONFIG)
    assert under.seen == bare.seen
    assert (calls(under.report, "shop:quote"), calls(under.report, "pkg:at_top")) == (41, 40)
