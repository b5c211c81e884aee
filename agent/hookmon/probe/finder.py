"""The import hook: notices when watched modules are imported, and leaves no trace of itself.

In: the names of the watched modules. Out: a call of `loaded(module, name)` after each import of one of them. Runs in the
watched process. An unwatched import costs a look-up in a set. After an import the module has its real loader and spec.

A module that is loaded by its path never passes sys.meta_path. But importlib asks its loader for an empty module before it is
executed, and loaders of files leave that to importlib: by a function of ours, where the plan may want such a module.
"""

import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:  # as few names as can be: those in here are read at the start of each process, too
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.base import shapes
    from hookmon.probe.base.wanted import Names

READERS = (
    *("IPython.extensions.deduperreload.deduperreload_patching", "cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast"),
    *("dill._dill", "joblib.externals.cloudpickle.cloudpickle", "numba.cloudpickle.cloudpickle", "numba.core.bytecode"),
    *("pyspark.cloudpickle.cloudpickle", "ray.cloudpickle.cloudpickle", "torch._dynamo.bytecode_transformation"),
    "typeguard._decorators",
)
"""Modules that read the code of functions, those of core.plan.READS_CODE: noticed as the watched ones are."""

_external: "Any" = sys.modules["_frozen_importlib_external"]
_hookmon = sys.modules["hookmon"]


class Finder:
    """A meta path finder that finds nothing itself: it asks the others, and hooks the loader of what they find."""

    def __init__(
        self, names: "frozenset[str] | Names", loaded: "shapes.Loaded", prepared: "shapes.Prepared | None" = None
    ) -> None:
        """`prepared` gets a module's code before it is executed and returns what is to be; `loaded` gets the module afterwards.

        Both are called in the importing thread, under the module's import lock, and must not raise.
        """
        self._names: frozenset[str] | Names = names
        self._admits: Callable[[str, object], bool] | None = getattr(names, "admits", None)  # of globs only
        self._creators: list[tuple[Any, Any]] = []  # (class of loaders, its own create_module)
        self._loaded = loaded
        self._prepared = prepared
        self._finding: set[tuple[int, str]] = set()
        self._seen: dict[str, object] = {}  # a name, and who was the first to tell of it
        self._hooked: set[str] = set()  # found through us: its loader tells
        self._is_behind = False  # a watched module came past us and was not ready when we looked

    def install(self) -> None:
        """Go first in sys.meta_path, and take care of the watched modules that are there already."""
        sys.meta_path.insert(0, self)
        self._catch_up()

    def _put_back_own(self) -> None:
        """List hookmon's modules in sys.modules again, where a program has thrown out what it did not bring: a PEX does."""
        pending = [_hookmon]
        while pending:
            module = pending.pop()
            sys.modules.setdefault(module.__name__, module)
            kind = type(sys)
            pending += [
                part for part in vars(module).values() if type(part) is kind and part.__name__.startswith(f"{module.__name__}.")
            ]

    def follow_loaders(self) -> None:
        """Also notice modules that are loaded by their path."""
        for cls in (_external._LoaderBasics, _external.ExtensionFileLoader):
            real = vars(cls)["create_module"]
            self._creators.append((cls, real))
            cls.create_module = self._make_creator(real)

    def watch_also(self, name: str) -> None:
        """Notice one more module, also if it is on its way in."""
        self._names |= {name}
        self._is_behind = True

    def uninstall(self) -> None:
        """Leave sys.meta_path, and give the finders there their own `find_spec` back, and loaders what is theirs."""
        while self._creators:
            cls, real = self._creators.pop()
            cls.create_module = real
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for finder in sys.meta_path:
            find: Any = vars(finder if isinstance(finder, type) else type(finder)).get("find_spec")
            if type(find) is _stand_ins.get("Listener"):
                find.leave()

    def find_spec(self, name: str, path: object = None, target: object = None) -> "shapes.ModuleSpec | None":
        """Return the spec that the other finders give for a watched module, None for any other name."""
        if self._is_behind or sys.meta_path[0] is not self:
            self._look_ahead()
        if name not in self._names:
            return None
        if "hookmon.probe.finder" not in sys.modules:
            self._put_back_own()
        me = (get_ident(), name)
        if me in self._finding:  # another tool's finder, which walks sys.meta_path as well
            return None
        self._finding.add(me)
        try:
            for finder in list(sys.meta_path):
                find = getattr(finder, "find_spec", None)
                spec: shapes.ModuleSpec | None = find(name, path, target) if finder is not self and find is not None else None
                if spec is not None:
                    self._hook(spec, name)
                    return spec
        finally:
            self._finding.discard(me)
        return None

    def notice(self, module: "shapes.ModuleType", name: str, is_listed: bool = True) -> None:
        """Take note of a module that has just been executed.

        `is_listed`: it stood in sys.modules before that, so what stands there now is what it has made of itself.
        """
        self._seen.setdefault(name, self)
        self._loaded(sys.modules.get(name, module) if is_listed else module, name)

    def _hook(self, spec: "shapes.ModuleSpec", name: str) -> None:
        if self._admits is not None and not self._admits(name, spec.origin):
            return
        self._hooked.add(name)
        loader: Any = spec.loader
        if loader is None:
            return
        if not hasattr(loader, "exec_module"):
            spec.loader = _stand_in("OldLoader")(loader, self, spec)
        elif type(loader).__module__ == "_frozen_importlib_external" and hasattr(loader, "path") and hasattr(loader, "__dict__"):
            self._hook_loader(loader, name)
        else:
            spec.loader = _stand_in("Loader")(loader, self, name)

    def _hook_loader(self, loader: "Any", name: str) -> None:
        """Let the loader of one file tell. It stays the loader, with two methods of its own until it has run."""
        real = loader.exec_module
        prepared = self._prepared
        find_code: Any = getattr(loader, "get_code", None) if prepared is not None else None

        def prepare(fullname: str) -> object:
            vars(loader).pop("get_code", None)
            code = find_code(fullname)
            return code if code is None or prepared is None else prepared(code, name)

        def execute(module: "shapes.ModuleType") -> None:
            vars(loader).pop("exec_module", None)
            is_listed = sys.modules.get(name) is module
            if find_code is not None:
                loader.get_code = among_importlib(prepare)
            try:
                real(module)
            except BaseException as error:
                _drop_frame(error)
                raise
            finally:
                vars(loader).pop("get_code", None)
            self.notice(module, name, is_listed)

        loader.exec_module = among_importlib(execute)

    def _make_creator(self, real: "Any") -> "Any":
        """Return the `create_module` for a class of loaders, whose own is `real`."""
        finder, consider = self, self._consider

        def create_module(self: "Any", spec: "Any") -> object:
            name = getattr(spec, "name", None)
            if type(name) is str and name in finder._names:
                consider(self, spec, name)
            return real(self, spec)

        for name in ("__doc__", "__module__", "__qualname__"):
            setattr(create_module, name, getattr(real, name))
        create_module.__annotations__ = {}
        return among_importlib(create_module)

    def _consider(self, loader: "Any", spec: "Any", name: str) -> None:
        """Hook a loader that is about to execute a watched module, if nobody has."""
        if self._admits is not None and not self._admits(name, getattr(spec, "origin", None)):
            return
        holder = getattr(spec, "loader", None)
        if name == "__main__" or _is_hooked(loader) or _is_hooked(holder):
            return
        if hasattr(loader, "__dict__") and getattr(loader, "name", None) == name:
            self._hook_loader(loader, name)
        elif holder is loader:  # it serves many modules, as that of an archive does
            spec.loader = _stand_in("Loader")(loader, self, name)

    def _look_ahead(self) -> None:
        """Listen to the finders that stand before us by now, and take care of modules that they may have found meanwhile.

        We never go back to the front: a program that has put a finder there may remove it by its index.
        """
        is_new = self._is_behind
        for finder in list(sys.meta_path):
            if finder is self:
                break
            if type(getattr(finder, "find_spec", None)) is not _stand_ins.get("Listener"):
                _listen_to(finder, self)
                is_new = True  # or one that cannot be listened to
        if is_new:
            self._catch_up()

    def take(self, spec: "shapes.ModuleSpec", name: str) -> None:
        """Hook what a finder before us has found, if it is watched."""
        if name in self._names and (get_ident(), name) not in self._finding and not _is_hooked(spec.loader):
            self._hook(spec, name)

    def _catch_up(self) -> None:
        self._is_behind = False
        for name in self._names.intersection(tuple(sys.modules)):  # not the other way round: most are never imported
            module = sys.modules.get(name)
            if module is None or name in self._hooked or name in self._seen:
                continue
            spec = getattr(module, "__spec__", None)
            if self._admits is not None and not self._admits(name, getattr(spec, "origin", None)):
                continue
            if getattr(spec, "_initializing", False):
                self._is_behind = True
            elif self._claim(name):
                self.notice(module, name)

    def _claim(self, name: str) -> bool:
        """Say whether this thread is the first to notice a module: another thread may be looking, too."""
        claim = object()
        return self._seen.setdefault(name, claim) is claim


_stand_ins = {}  # type: dict[str, Any]


def _stand_in(name: str) -> "Any":
    """Return one of the classes below by its name.

    Few programs need one, and to make them would be a sixteenth of the probe's time at each start. They are no module of their
    own: a fork while another thread imports that would leave it locked in the child.
    """
    return _stand_ins.get(name) or _stand_ins.setdefault(name, _make_stand_ins()[name])


def _make_stand_ins() -> "dict[str, Any]":
    class Listener:
        """Stands in for the `find_spec` of a class of finders, where one of them is asked before us. It binds as that did."""

        def __init__(self, cls: type, raw: object, finder: Finder, find: "Any" = None) -> None:
            self._class = cls
            self._raw = raw  # what stood in the class's own dictionary, None where it was inherited
            self._finder = finder
            self._find = find

        def __call__(self, name: str, *more: object, **keywords: object) -> "shapes.ModuleSpec | None":
            spec: shapes.ModuleSpec | None = self._find(name, *more, **keywords)
            if spec is not None:
                self._finder.take(spec, name)
            return spec

        def __getattr__(self, name: str) -> object:
            return getattr(self._find, name)

        def __get__(self, instance: object, owner: object = None) -> "Listener":
            raw = self._raw
            if raw is None:
                raw = next(vars(base)["find_spec"] for base in self._class.__mro__[1:] if "find_spec" in vars(base))
            bind = getattr(type(raw), "__get__", None)
            return Listener(self._class, raw, self._finder, raw if bind is None else bind(raw, instance, owner))

        def leave(self) -> None:
            """Put back what stood in this place."""
            type.__delattr__(self._class, "find_spec")
            if self._raw is not None:
                type.__setattr__(self._class, "find_spec", self._raw)

    class Loader:
        """Stands in for a loader that is shared (zip archives, builtins, other tools' hooks) until the module is executed."""

        def __init__(self, loader: "Any", finder: "Finder", name: str) -> None:
            self._loader = loader
            self._finder = finder
            self._name = name

        def __getattr__(self, name: str) -> object:
            return getattr(self._loader, name)

        @property  # type: ignore[misc]
        def __class__(self) -> type:
            return type(self._loader)

        def create_module(self, spec: "shapes.ModuleSpec") -> object:
            create = getattr(self._loader, "create_module", None)
            return create(spec) if create is not None else None

        def exec_module(self, module: "shapes.ModuleType") -> None:
            spec: Any = getattr(module, "__spec__", None)
            if getattr(spec, "loader", None) is self:
                spec.loader = self._loader
            if getattr(module, "__loader__", None) is self:
                module.__loader__ = self._loader
            is_listed = sys.modules.get(self._name) is module
            try:
                self._loader.exec_module(module)
            except BaseException as error:
                _drop_frame(error)
                raise
            self._finder.notice(module, self._name, is_listed)

    class OldLoader:
        """Stands in for a loader of the old kind, which has `load_module` and no `exec_module` (importlib takes them to 3.14)."""

        def __init__(self, loader: "Any", finder: "Finder", spec: "shapes.ModuleSpec") -> None:
            self._loader = loader
            self._finder = finder
            self._spec = spec

        def __getattr__(self, name: str) -> object:
            return getattr(self._loader, name)

        def load_module(self, name: str) -> object:
            self._spec.loader = self._loader
            module: shapes.ModuleType = self._loader.load_module(name)
            self._finder.notice(module, name)
            return module

    among_importlib(Listener.__call__)
    among_importlib(Loader.exec_module)
    among_importlib(OldLoader.load_module)
    return {"Listener": Listener, "Loader": Loader, "OldLoader": OldLoader}


def _listen_to(finder: object, us: Finder) -> None:
    """Notice what a finder finds, by a Listener in its class. importlib's own finders are left alone.

    So is a `find_spec` in the instance itself: programs copy and pickle their finders.
    """
    cls = finder if isinstance(finder, type) else type(finder)
    own = vars(cls).get("find_spec")
    is_told = type(own) is _stand_ins.get("Listener")
    if is_told or not hasattr(cls, "find_spec") or cls.__module__.startswith("_frozen_importlib"):
        return
    try:
        type.__setattr__(cls, "find_spec", _stand_in("Listener")(cls, own, us))
    except TypeError:  # a class that is written in C
        pass


def _is_hooked(loader: object) -> bool:
    if type(loader) in _stand_ins.values():
        return True
    own = vars(loader).get("exec_module") if hasattr(loader, "__dict__") else None
    return getattr(own, "__qualname__", "") == "Finder._hook_loader.<locals>.execute"


def _drop_frame(error: BaseException) -> None:
    """Do what base.frames.drop_frame does: who loads a module by its path sees importlib's frames in the traceback."""
    traceback = _traceback.__get__(error)
    if traceback is not None:
        _traceback.__set__(error, traceback.tb_next)


_traceback: "Any" = vars(BaseException)["__traceback__"]


def among_importlib(function: "shapes.F") -> "shapes.F":
    """Make a function's frame count as importlib's own.

    CPython cuts those out of the traceback of a module that fails to import (`remove_importlib_frames` in import.c goes
    by the file name). A frame of ours among them would stop that, and the program would see a dozen lines more.
    """
    function.__code__ = function.__code__.replace(co_filename="<frozen importlib._bootstrap_external>")
    return function
