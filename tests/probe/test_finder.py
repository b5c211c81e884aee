"""Watched modules are seen as they come in, and nothing else about an import changes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

PRELUDE = """
import os, sys
sys.path.insert(0, os.getcwd())
from hookmon.probe.finder import Finder
seen = []
finder = Finder(frozenset(os.environ["NAMES"].split()), lambda module, name: seen.append((name, module)))
before = dict(sys.modules)
finder.install()
"""
PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/mod.py": "value = 1\ndef quote(): return 1\n",
    "pkg/other.py": "",
    "pkg/data.txt": "data",
    "circle_a.py": "import circle_b\nname = 'a'\n",
    "circle_b.py": "import circle_a\nname = 'b'\n",
    "failing.py": "def deep():\n    raise LookupError('no')\ndeep()\n",
    "space/inner.py": "value = 2\n",
    "plugged.py": "value = 4\n",
    "swap.py": "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(real=True)\n",
    "threaded.py": "import threading\nt = threading.Thread(target=lambda: __import__('pkg.other'))\nt.start()\nt.join()\n",
}


@pytest.fixture
def imported(fresh, tmp_path: Path):
    """Run code with a finder for NAMES in front, in a folder with packages."""
    for name, source in PACKAGE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zipped.py", "value = 3\n")

    def run(code: str, names: str = "pkg.mod"):
        return fresh(code, prelude=PRELUDE, env={"NAMES": names})

    return run


@pytest.fixture
def imported_wide(imported, fresh):
    """The same with a finder that knows globs, and modules that are loaded by their path."""
    return lambda code, names: fresh(code, prelude=GLOBBED, env={"NAMES": names})


CASES = {
    "loaders": """
import pkg.mod
from importlib.machinery import SourceFileLoader
assert seen == [("pkg.mod", pkg.mod)]
assert type(pkg.mod.__loader__) is SourceFileLoader and pkg.mod.__spec__.loader is pkg.mod.__loader__
assert vars(pkg.mod.__loader__) == vars(SourceFileLoader("pkg.mod", pkg.mod.__file__))
""",
    "unwatched": "import pkg.other\nassert seen == []",
    "again": "import pkg.mod\nimport pkg.mod\nassert len(seen) == 1",
    "reload": "import pkg.mod, importlib\nimportlib.reload(pkg.mod)\nassert [name for name, _ in seen] == ['pkg.mod'] * 2",
    "deleted": """
import importlib, pkg.mod
del sys.modules["pkg.mod"]
importlib.import_module("pkg.mod")
assert len(seen) == 2
""",
    "find_spec": "import importlib.util\nimportlib.util.find_spec('pkg.mod')\nassert seen == [] and 'pkg.mod' not in sys.modules",
    "getsource": "import pkg.mod, inspect\nassert 'return 1' in inspect.getsource(pkg.mod.quote)",
    "resources": "import pkg.mod, importlib.resources, pkgutil\n"
    "assert importlib.resources.files('pkg').joinpath('data.txt').read_text() == 'data'\n"
    "assert pkgutil.get_data('pkg.mod', 'data.txt') == b'data'",
    "runpy": "import runpy\nassert runpy.run_module('pkg.mod')['value'] == 1\nassert seen == []",
    "lazy": """
import importlib.util
spec = importlib.util.find_spec("pkg.mod")
spec.loader = importlib.util.LazyLoader(spec.loader)
lazy = importlib.util.module_from_spec(spec)
sys.modules["pkg.mod"] = lazy
spec.loader.exec_module(lazy)
assert seen == []
assert lazy.value == 1
assert len(seen) == 1
""",
    "later finder": """
class Other:
    def find_spec(self, name, path=None, target=None): return None
other = Other()
sys.meta_path.insert(0, other)
import pkg.mod
assert len(seen) == 1 and sys.meta_path[:2] == [other, finder]
""",
    "a finder that walks too": """
class Walker:
    def find_spec(self, name, path=None, target=None):
        for other in sys.meta_path:
            if other is not self:
                spec = other.find_spec(name, path, target)
                if spec is not None: return spec
sys.meta_path.insert(0, Walker())
import pkg.mod
assert len(seen) == 1
""",
    "loader of another tool": """
import importlib.machinery
class Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module):
        super().exec_module(module)
        module.rewritten = True
class Rewriter:
    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if name != "pkg.mod": return None
        spec.loader = Loader(name, spec.origin)
        return spec
sys.meta_path.insert(0, Rewriter())
import pkg.mod
assert pkg.mod.rewritten and len(seen) == 1 and pkg.mod.__loader__ is pkg.mod.__spec__.loader
assert type(pkg.mod.__loader__) is Loader
""",
    "failing loaded late": """
import types
late = types.ModuleType("pkg.mod")
sys.modules["pkg.mod"] = late
class Other:
    def find_spec(self, name, path=None, target=None): return None
sys.meta_path.insert(0, Other())
import pkg.other
assert seen == [("pkg.mod", late)]
""",
    "a finder that comes and goes by its index": """
class Other:
    def find_spec(self, name, path=None, target=None): return None
before = list(sys.meta_path)
sys.meta_path.insert(0, Other())
import pkg.other
sys.meta_path.pop(0)
assert sys.meta_path == before
import pkg.mod
assert len(seen) == 1
""",
    "a class in front": """
import importlib.machinery
class Front:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        calls.append((cls.__name__, name))
        return importlib.machinery.PathFinder.find_spec(name, path) if name == "pkg.mod" else None
class Below(Front): pass
calls = []
sys.meta_path.insert(0, Below)
import pkg.other
assert Front.find_spec("a") is None
import pkg.mod
assert seen == [("pkg.mod", pkg.mod)] and calls[-2:] == [("Front", "a"), ("Below", "pkg.mod")]
finder.uninstall()
assert "find_spec" not in vars(Below) and type(vars(Front)["find_spec"]) is classmethod
""",
    "what is heard of a finder in front ends with ours": """
class Other:
    def find_spec(self, name, path=None, target=None): return None
class Slots:
    __slots__ = ()
    def find_spec(self, name, path=None, target=None): return None
plain = Other.find_spec
sys.meta_path[:0] = [Other(), Slots()]
import pkg.other
assert Other.find_spec is not plain and Other().find_spec("a") is None and Other().find_spec.__func__ is plain
finder.uninstall()
assert Other.find_spec is plain
""",
    "a finder in front is copied and pickled as it was": """
import copy, pickle
from fractions import Fraction
class Front(Fraction):
    def find_spec(self, name, path=None, target=None): return None
front = Front(1, 2)
sys.meta_path.insert(0, front)
import pkg.other, pkg.mod
assert vars(front) == {} and len(seen) == 1
assert copy.deepcopy(front) == pickle.loads(pickle.dumps(front)) == front
""",
    "a finder in front whose find_spec is its own": """
import importlib.machinery, importlib.util, types
class Front:
    def find_spec(self, name, path=None, target=None): raise AssertionError
find = lambda name, path=None, target=None: importlib.machinery.PathFinder.find_spec(name, path) if name == "pkg.mod" else None
fronts = [types.SimpleNamespace(find_spec=find), Front()]
fronts[1].find_spec = find
sys.meta_path[:0] = fronts
import pkg.other, pkg.mod
for number in range(30): importlib.util.find_spec(f"nowhere{number}")
assert seen == [("pkg.mod", pkg.mod)]
assert [vars(front) for front in fronts] == [{"find_spec": find}] * 2
""",
    "uninstall": "finder.uninstall()\nimport pkg.mod\nassert seen == [] and finder not in sys.meta_path",
    "two threads": """
import threading
def work():
    import pkg.mod
threads = [threading.Thread(target=work) for _ in range(20)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
assert len(seen) == 1
""",
}


@pytest.mark.parametrize("name", CASES)
def test_an_import_is_seen_and_unchanged(imported, name: str):
    """Loader, spec, resources, reload, other finders."""
    imported(CASES[name])


OTHERS = {
    "circular": ("circle_a circle_b", "import circle_a\nassert sorted(name for name, _ in seen) == ['circle_a', 'circle_b']"),
    "namespace": ("space space.inner", "import space.inner\nassert [name for name, _ in seen] == ['space.inner']"),
    "builtin": (
        "_lsprof",
        "import _lsprof\nassert len(seen) == 1 and not type(_lsprof.__spec__.loader).__module__.startswith('hookmon')",
    ),
    "zip": (
        "zipped",
        "import zipimport; sys.path.insert(0, 'archive.zip'); import zipped\n"
        "assert len(seen) == 1 and type(zipped.__loader__) is type(zipped.__spec__.loader) is zipimport.zipimporter",
    ),
    "swapped": ("swap", "import swap\nassert swap.real and seen == [('swap', swap)]"),
    "thread in module": ("threaded pkg.other", "import threaded\nassert len(seen) == 2"),
    "there already": ("sys os", "assert dict(seen) == {'sys': sys, 'os': os}"),
    "frozen": ("__hello__", "import __hello__\nassert len(seen) == 1"),
    "not there": (
        "nowhere",
        "try: import nowhere\nexcept ModuleNotFoundError as e: assert e.name == 'nowhere'\nelse: raise SystemExit(1)",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_kind_of_module_is_seen_once(imported, name: str):
    """Wherever it comes from."""
    names, code = OTHERS[name]
    imported(code, names)


GLOBBED = """
import os, sys
sys.path.insert(0, os.getcwd())
from hookmon.probe.finder import Finder
from hookmon.probe.base.wanted import sort_out
seen = []
names = sort_out(os.environ["NAMES"].replace("HERE", os.getcwd()).split())
finder = Finder(names, lambda module, name: seen.append((name, module)))
before = dict(sys.modules)
finder.install()
finder.follow_loaders()

def load(name, path, listed=True):
    import importlib.util
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    if listed: sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
"""

WIDE = {  # names, code
    "the modules in a package": (
        "pkg.*",
        "import pkg.mod, pkg.other, swap\nassert [n for n, _ in seen] == ['pkg.mod', 'pkg.other']",
    ),
    "a package and all below": ("pkg.**", "import pkg.mod, swap\nassert [name for name, _ in seen] == ['pkg', 'pkg.mod']"),
    "a glob beside a name": (
        "swap pkg.o*",
        "import pkg.mod, pkg.other, swap\nassert [n for n, _ in seen] == ['pkg.other', 'swap']",
    ),
    "everything of the program's own": (
        "**",
        "import pkg.mod, swap, bisect, email.message, wrapt\n"
        "assert [name for name, _ in seen] == ['pkg', 'pkg.mod', 'swap'], seen",
    ),
    "the standard library by its name": ("email.*", "import email.message\nassert 'email.message' in dict(seen)"),
    "an installed package by its name": ("wrapt.**", "import wrapt\nassert 'wrapt' in dict(seen)"),
    "there already": (
        "o?",
        "assert dict(seen) == {}\nfinder2 = Finder(sort_out(['os.**']), finder._loaded)\n"
        "finder2.install()\nassert set(dict(seen)) == {'os', 'os.path'}",
    ),
    "by the file": ("HERE/pkg/*.py", "import pkg.mod, swap\nassert [name for name, _ in seen] == ['pkg', 'pkg.mod']"),
    "by the file of what is loaded by path": (
        "HERE/pkg/mod.py",
        "m = load('my_mod', 'pkg/../pkg/./mod.py', listed=False)\nassert seen == [('my_mod', m)] and 'my_mod' not in sys.modules",
    ),
    "all files, and nothing that is installed": (
        "/**/*.py",
        "import pkg.mod, bisect, email.message, wrapt, hookmon.core.layout\n"
        "assert [name for name, _ in seen] == ['pkg', 'pkg.mod'], seen",
    ),
    "by the file, whatever its loader": (
        "HERE/pkg/*.py",
        """
import importlib.machinery
class Loader:
    def __init__(self, real): self.real = real
    def create_module(self, spec): return None
    def exec_module(self, module): exec(self.real.get_code(module.__name__), vars(module))
class Rewriter:
    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if name == "pkg.mod": spec.loader = Loader(spec.loader)
        return spec
sys.meta_path.append(Rewriter())
sys.meta_path.insert(1, sys.meta_path.pop())
import pkg.mod
assert [name for name, _ in seen] == ["pkg", "pkg.mod"] and type(pkg.mod.__spec__.loader) is Loader
""",
    ),
    "what has no file": ("HERE/**/*.py", "import _lsprof, __hello__\nassert seen == []"),
}

BY_PATH = {
    "listed": "m = load('plug', 'pkg/mod.py')\nassert seen == [('plug', m)]",
    "not listed": "m = load('plug', 'pkg/mod.py', listed=False)\nassert seen == [('plug', m)]",
    "another module of that name is listed": """
sys.modules["plug"] = other = type(sys)("plug")
m = load("plug", "pkg/mod.py", listed=False)
assert seen == [("plug", m)] and sys.modules["plug"] is other
""",
    "it replaces itself": "load('plug', 'swap.py', listed=True)\nassert seen[0][0] == 'plug'",
    "again": "load('plug', 'pkg/mod.py'); load('plug', 'pkg/mod.py')\nassert [name for name, _ in seen] == ['plug'] * 2",
    "imported, and never twice": "import plugged\nassert [name for name, _ in seen] == ['plugged']",
    "load_module": """
import warnings
warnings.simplefilter("ignore")
from importlib.machinery import SourceFileLoader
if hasattr(SourceFileLoader, "load_module"):  # until 3.14
    m = SourceFileLoader("plug", "pkg/mod.py").load_module()
    assert seen == [("plug", m)]
""",
    "by the loader itself": """
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
loader = SourceFileLoader("plug", "pkg/mod.py")
m = module_from_spec(spec_from_loader("plug", loader))
loader.exec_module(m)
assert seen == [("plug", m)] and vars(loader) == {"name": "plug", "path": "pkg/mod.py"}
""",
    "a loader of the program's own": """
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
class Loader(SourceFileLoader):
    def exec_module(self, module):
        super().exec_module(module)
        module.extra = 1
loader = Loader("plug", os.path.abspath("pkg/mod.py"))
m = module_from_spec(spec_from_loader("plug", loader))
loader.exec_module(m)
assert seen == [("plug", m)] and m.extra == 1
""",
    "lazily": """
import importlib.util
spec = importlib.util.spec_from_file_location("plug", "pkg/mod.py")
spec.loader = importlib.util.LazyLoader(spec.loader)
m = sys.modules["plug"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(m)
assert seen == []
assert m.value == 1 and len(seen) == 1
""",
    "compiled": """
import py_compile
py_compile.compile("pkg/mod.py", "alone.pyc")
m = load("plug", "alone.pyc")
assert seen == [("plug", m)]
""",
    "written in C": """
import importlib.util
path = importlib.util.find_spec("_testcapi" if importlib.util.find_spec("_testcapi") else "_elementtree").origin
from importlib.machinery import ExtensionFileLoader
name = path.rpartition("/")[2].partition(".")[0]
finder.uninstall()
finder = Finder(sort_out([path.rpartition(".")[0] + ".s?"]), finder._loaded)
finder.follow_loaders()
m = load(name, path)
assert seen == [(name, m)] and type(m.__loader__) is ExtensionFileLoader
""",
    "out of an archive": """
import zipimport
from importlib.util import module_from_spec
archive = zipimport.zipimporter("archive.zip")
spec = archive.find_spec("zipped")
m = module_from_spec(spec)
spec.loader.exec_module(m)
assert seen == [("zipped", m)] and m.__loader__ is archive and m.__spec__.loader is archive
""",
    "one that fails": """
import traceback
try:
    load("plug", "failing.py")
except LookupError as error:
    places = [(frame.filename.rpartition("/")[2], frame.name) for frame in traceback.extract_tb(error.__traceback__)]
assert seen == []
assert places[-2:] == [("failing.py", "<module>"), ("failing.py", "deep")]
assert [name for _, name in places[:-2]] == ["<module>", "load", "exec_module", "_call_with_frames_removed"], places
""",
    "an odd spec": """
from importlib.machinery import SourceFileLoader
assert SourceFileLoader("plug", "pkg/mod.py").create_module(None) is None
assert SourceFileLoader("plug", "pkg/mod.py").create_module(type("Spec", (), {"name": []})) is None
""",
    "what is replaced looks the same, and comes back": """
import importlib.machinery, inspect
create = importlib.machinery.SourceFileLoader.create_module
assert (create.__name__, create.__qualname__) == ("create_module", "_LoaderBasics.create_module")
assert str(inspect.signature(create)) == "(self, spec)" and create.__doc__
finder.uninstall()
assert importlib.machinery.SourceFileLoader.create_module is not create
assert "hookmon" not in importlib.machinery.SourceFileLoader.create_module.__code__.co_filename
load("plug", "pkg/mod.py")
assert seen == []
""",
}


@pytest.mark.parametrize("name", WIDE)
def test_globs_of_modules_and_files_take_what_they_stand_for(imported_wide, name: str):
    """One level, all below, and of what no name is given only the program's own."""
    names, code = WIDE[name]
    imported_wide(code, names)


@pytest.mark.parametrize("name", BY_PATH)
def test_a_module_that_is_loaded_by_its_path_is_seen(imported_wide, name: str):
    """Once for each time that it is executed, whether sys.modules has it or not."""
    imported_wide(BY_PATH[name], "plug plugged zipped")


IN_FRONT = """
import importlib.machinery
class Front:
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.PathFinder.find_spec(name, path) if name == "using" else None
sys.meta_path.insert(0, Front())
import using
import pkg.mod
assert seen == [("using", using)]
"""


@pytest.mark.parametrize(
    "source",
    [
        "value = 1\n",
        "import pkg.other\n",
    ],
    ids=["plain", "that imports"],
)
def test_a_module_that_a_finder_in_front_took_is_seen_later(imported, tmp_path: Path, source: str):
    """As pytest's assertion rewriting does: it answers for some modules before anybody else is asked."""
    (tmp_path / "using.py").write_text(source)
    imported(IN_FRONT, "using")


def test_all_that_a_finder_in_front_takes_is_seen_at_once_when_we_have_heard_of_it(imported, tmp_path: Path):
    """From the first import on that reaches us; the order of finders stays."""
    (tmp_path / "using.py").write_text("value = 1\n")
    imported(
        IN_FRONT.replace("import using\n", "import colorsys\nimport using\nassert len(seen) == 1\n").replace(
            "import pkg.mod\n", ""
        ),
        "using",
    )


def test_a_module_that_fails_shows_the_traceback_of_a_plain_import(imported):
    """No frame of ours, none of importlib."""
    recorded = imported(
        """
import traceback
def names():
    try: import failing
    except LookupError as error: return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
print(names())
assert seen == [] and "failing" not in sys.modules
""",
        "failing",
    )
    assert recorded.out.strip() == "['names', '<module>', 'deep']"


def test_an_unwatched_import_costs_a_look_up(imported):
    """No module is added by the finder itself."""
    imported("assert [name for name in sys.modules if name not in before] == []")
