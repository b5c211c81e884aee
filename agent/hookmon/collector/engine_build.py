"""Builds the compiled engine for one interpreter, from the C sources that hookmon has with it, into the user's cache folder.

In: an interpreter. Out: an Engine that this interpreter has loaded once, or an EngineError that says what is missing. Runs on the
launcher's side; `.ci/wheel` compiles with it, too.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from hookmon import __version__
from hookmon.collector import engines
from hookmon.collector.interpreter import run_isolated
from hookmon.core.errors import EngineError
from hookmon.core.layout import NEWEST_MINOR, NUMBERS
from hookmon.core.record import Record

OLDEST = (3, 11)
NEWEST = (3, NEWEST_MINOR)
FLAGS = ("-O2", "-DNDEBUG", "-fwrapv", "-fPIC", "-Wall", "-Wextra", "-Wno-missing-field-initializers")
_COMPILES_S = 600
_SAYS = "hookmon says: "
_ASK = """
import sys
answer = {"name": sys.implementation.name, "version": list(sys.version_info[:2]), "full": sys.version.split()[0]}
if sys.version_info >= (3, 11):
    import _imp, sysconfig
    answer["suffix"] = _imp.extension_suffixes()[0]
    answer["include"] = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
    answer["compiler"] = sysconfig.get_config_var("CC") or ""
    answer["is_apple"] = sys.platform == "darwin"
import json
sys.stdout.write("\\n" + sys.argv[1] + json.dumps(answer))
"""
_TRY = """
import importlib.machinery, importlib.util, sys
loader = importlib.machinery.ExtensionFileLoader("hookmon.probe._engine", sys.argv[1])
spec = importlib.util.spec_from_file_location("hookmon.probe._engine", sys.argv[1], loader=loader)
module = importlib.util.module_from_spec(spec)
loader.exec_module(module)
sys.stdout.write(str(module.NUMBERS))
"""


class Interpreter(Record, frozen=True):
    """What is to be known of an interpreter to build for it."""

    path: str
    version: tuple[int, int]
    full_version: str
    suffix: str  # how its extension modules end
    includes: list[str]  # folders of its headers
    compiler: str  # what it was built with, "" where it does not say
    is_apple: bool

    @property
    def name(self) -> str:
        """Return what it is, for people."""
        return f"CPython {self.full_version}, {self.path}"


def find(python: str | None) -> str:
    """Return the path of an interpreter: of a path, of a name on PATH, or of the folder of an environment.

    Raises EngineError where there is none.
    """
    if python is None:
        return sys.executable
    if os.path.isdir(python):
        inside = shutil.which("python", path=os.path.join(python, "bin"))
        if inside is None:
            raise EngineError(f"{python} is no environment of Python: there is no {os.path.join(python, 'bin', 'python')}")
        return os.path.abspath(inside)
    found = shutil.which(python)
    if found is None:
        raise EngineError(f"{python}: there is no such interpreter")
    return os.path.abspath(found)  # not resolved: the link is what makes it the environment's


def ask(path: str, includes: list[str] | None = None) -> Interpreter:
    """Ask an interpreter what it is. `includes` are folders of headers in place of its own.

    Raises EngineError where no engine can be built for it.
    """
    try:
        done = run_isolated(path, _ASK, _SAYS)
        answer = json.loads(done.stdout.rpartition(_SAYS)[2])
        version = (int(answer["version"][0]), int(answer["version"][1]))
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
        raise EngineError(f"{path}: it is no Python 3.11 or newer that can be asked: {error}") from error
    if answer["name"] != "cpython" or version < OLDEST:
        raise EngineError(f"{path} is {answer['name']} {answer['full']}; the probe needs CPython 3.11 or newer")
    if version > NEWEST:
        newest = ".".join(map(str, NEWEST))
        text = f"{path} is CPython {answer['full']}, and this hookmon knows those up to {newest}; the pure engine serves there"
        raise EngineError(text)
    own = [folder for folder in dict.fromkeys(answer["include"]) if folder]
    around = [os.path.dirname(folder) for folder in own]  # Debian's headers include those of the machine by a path from there
    folders = includes or [*own, *dict.fromkeys(around)]
    return Interpreter(path, version, answer["full"], answer["suffix"], folders, answer["compiler"], answer["is_apple"])


def build(interpreter: Interpreter) -> engines.Engine:
    """Build the engine for an interpreter, have it loaded there once, and put it into the cache in the place of an older one.

    Raises EngineError when that cannot be done; what was in the cache stays then.
    """
    try:
        folder = engines.current_folder()
    except OSError as error:
        raise EngineError(f"the C sources of hookmon are not here: {error}", code="installation") from error
    path = folder / f"{engines.STEM}{interpreter.suffix}"
    fresh = folder / f".{os.getpid()}{interpreter.suffix}"
    try:
        folder.parent.parent.mkdir(parents=True, exist_ok=True)
        for one in (folder.parent, folder):
            one.mkdir(mode=0o700, exist_ok=True)
        compile_to(fresh, interpreter)
        try_out(fresh, interpreter)
        fresh.chmod(0o700)
        Path(f"{path}.built").unlink(missing_ok=True)
        fresh.replace(path)
        engines.write_note(path, interpreter.full_version, interpreter.path)
    except OSError as error:
        raise EngineError(f"{error.filename or folder}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            fresh.unlink()
    for engine in engines.built():
        if engine.path != path and engine.suffix == interpreter.suffix and engine.hookmon == __version__:
            with suppress(OSError):
                engines.remove(engine)  # of the same version from other sources: a checkout changes often
    made = next((engine for engine in engines.built() if engine.path == path), None)
    if made is None or made.problem:
        raise EngineError(f"{path}: {made.problem if made else 'it is gone again'}")
    return made


def compile_to(path: Path, interpreter: Interpreter, flags: tuple[str, ...] = ()) -> None:
    """Compile the engine for an interpreter into a file. Raises EngineError with what is missing, or what the compiler says."""
    if not any(os.path.isfile(os.path.join(folder, "Python.h")) for folder in interpreter.includes):
        raise EngineError(f"there is no Python.h of {interpreter.name}; {_package(interpreter)} brings it")
    line = [*_compiler(interpreter), *FLAGS, *flags, "-shared"]
    line += ["-undefined", "dynamic_lookup"] if interpreter.is_apple else []
    line += [f"-I{folder}" for folder in interpreter.includes]
    line += [*map(str, engines.units()), "-o", str(path)]
    try:
        done = subprocess.run(
            line, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_COMPILES_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"the compiler cannot be started: {error}") from error
    if done.returncode:
        raise EngineError(f"the engine cannot be compiled for {interpreter.name}: {_complaint(done.stderr, interpreter)}")


def try_out(path: Path, interpreter: Interpreter) -> None:
    """Have an interpreter load an engine. Raises EngineError where it cannot."""
    try:
        done = run_isolated(interpreter.path, _TRY, str(path))
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"{interpreter.path}: it cannot be started: {error}") from error
    if done.returncode or done.stdout != str(NUMBERS):
        reason = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        raise EngineError(f"the engine was compiled, and {interpreter.name} cannot load it: {reason[:300]}")


def _compiler(interpreter: Interpreter) -> list[str]:
    """Return the words of the compiler: CC of the environment, else any that is on PATH. Raises EngineError where none is."""
    named = os.environ.get("CC", "")
    candidates = [named] if named else [interpreter.compiler, "cc", "gcc", "clang"]
    for candidate in candidates:
        try:
            words = shlex.split(candidate)
        except ValueError:
            continue
        if words and shutil.which(words[0]):
            return words[:1] if candidate == interpreter.compiler else words  # its options are those of its own build
    if named:
        raise EngineError(f"CC is {named}, and there is no such compiler")
    raise EngineError(f"there is no C compiler; {_advice('gcc', 'gcc', 'gcc', 'Xcode')} brings one")


def _complaint(said: str, interpreter: Interpreter) -> str:
    """Return what a compiler complains of first, and what would mend it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    first = next((line for line in lines if "error" in line), lines[-1] if lines else "the compiler says nothing")
    hint = ""
    if "No such file" in first:
        header = first.partition("fatal error: ")[2].partition(":")[0]
        is_pythons = header.startswith("Python") or "pyconfig" in header or "python3" in header
        package = _package(interpreter) if is_pythons else _advice("libc6-dev", "glibc-devel", "musl-dev", "Xcode")
        hint = f"; {package} brings it"
    return first[:400] + hint


def _package(interpreter: Interpreter) -> str:
    version = ".".join(map(str, interpreter.version))
    return _advice(f"python{version}-dev", f"python{version}-devel", "python3-dev", "its own installer")


def _advice(debian: str, fedora: str, alpine: str, apple: str) -> str:
    """Return the command that installs a package on this system, or the names that it has on others."""
    if shutil.which("apt-get"):
        return f"apt install {debian}"
    if shutil.which("dnf"):
        return f"dnf install {fedora}"
    if shutil.which("apk"):
        return f"apk add {alpine}"
    if os.uname().sysname == "Darwin":
        return "xcode-select --install" if apple == "Xcode" else apple
    return f"the package {debian} (Debian, Ubuntu), {fedora} (Fedora, RHEL) or {alpine} (Alpine)"
