"""The plan: finished configuration as the probe gets it, one file in the run folder.

In: the launcher's checked configuration. Out: a dictionary of plain values that any CPython from 3.11 on can load without
importing anything. Marshal is built in and costs microseconds, where `json` would bring `re` and 3 ms into every
watched process; the first line guards it, because marshal trusts its bytes.
"""

from __future__ import annotations

import marshal

TYPE_CHECKING = False  # type checkers read it as true; importing typing would cost the watched program 2 ms
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NotRequired, TypedDict

    class HookPlan(TypedDict):
        """What a `[[hook]]` table says more than a `[[watch]]`."""

        callable: str | list[str]  # where its calls have the callback, see config.checks.callbacks
        methods: list[str]  # the callback is an object, and these are its methods
        base: str | list[str]  # "module:Class" whose own methods are no callbacks, or several, "" for none
        skip: list[str]  # packages, or "module:name" for one callable, that are left alone
        unregister: list[str]  # functions that get callbacks to forget them or to look them up
        since: list[str]  # functions before whose first call there is no callback

    class WatchPlan(TypedDict):
        """One `[[watch]]` or `[[hook]]` table after checking."""

        id: int
        module: str  # its name, or a glob of names, "app.**"
        calls: list[str]  # "name", "Class.name", globs on the last part
        span: str  # template, "" names the span after its target
        kind: str  # one of KINDS
        nested: bool  # recorded although a span of the same client kind is open around it
        pack: str  # the pack's name, "" for the user's own
        source: str  # "pack redis" or "hookmon.toml:12"
        entry: bool  # the calls are transactions, unless one is open already
        entry_name: str  # template that names the open transaction when the call returns, "" for none
        entry_status: str  # template of the open transaction's status, "" for none
        entry_body: str  # field of the open transaction's body, a generator, once the call has returned, "" for none
        waits: bool  # the calls wait for a pool or an executor
        adapter: str  # what patches where setattr cannot: a module of hookmon.packs, or the path of a file; "" for none
        part: NotRequired[bool]  # the calls are parts of others that are counted: their time counts, they do not
        own: NotRequired[bool]  # only functions that are worth it: see probe.patching.codes
        via: NotRequired[
            str
        ]  # how functions are watched where not as probe.wrappers.monitoring chooses: "function", "code", "name"
        files: NotRequired[list[str]]  # globs of absolute paths: modules by their files, and `module` is what the user wrote
        propagates: NotRequired[bool]  # its adapter adds a header to what is sent
        until: NotRequired[list[str]]  # functions that end what the calls begin, on the same object
        when: NotRequired[list[tuple[str, str]]]  # only calls begin it whose fields have these values
        until_when: NotRequired[list[tuple[str, str]]]  # and only such end it
        expected: NotRequired[list[str]]  # "module:Class" of exceptions that are control flow and no errors
        hook: NotRequired[HookPlan]  # only of a [[hook]], whose calls are those that register callbacks

    class PlanData(TypedDict):
        """What the probe reads at start; beside it, by key, the settings that stand before all tables of the user's file."""

        run_folder: str
        wrapt_folder: str  # of hookmon's own environment, used where the program has none
        hookmon: str  # version
        redact: str  # what is taken out of SQL, one of REDACTIONS
        clock_source: str  # what the kernel keeps time by, "" where it does not tell
        max_overhead: float  # share of a process's time that a target may cost, 0.0 for any
        watches: list[WatchPlan]
        unwatched: NotRequired[list[str]]  # modules of core.known_libraries that nobody watches: their import is noted
        signals: NotRequired[list[str]]  # modules of probe.signals

    class AdditionData(TypedDict):
        """What the probe reads when it is told of an addition to the plan."""

        number: int
        watches: list[WatchPlan]  # of this addition and of those before


OWN_OPTION = "--own"
"""The `source` of the watches of the option of this name."""

KINDS = ("request", "task", "sql", "cache", "http", "rpc", "process", "queue", "template", "hook", "function")
"""What a span can be. The order is that of the report."""

GC, IMPORT, OWN = "gc", "import", "hookmon"
"""What else a span can be, of itself: a pause of the garbage collector, the import of a module, our own work meanwhile."""

CLIENT_KINDS = frozenset(("sql", "cache", "http", "rpc", "process", "queue", "template"))
"""Kinds of which only the outermost span counts, unless a watch says `nested = true`."""

ORM_MODULES = ("django.db.models.", "sqlalchemy.orm.", "sqlalchemy.engine.result:", "peewee:", "tortoise.")
"""How targets of the kind hook begin that are the work of an ORM around its queries."""

CARRIERS = {"http": "sql"}
"""{kind: kind whose calls it carries}. Statements of ClickHouse, Trino and Snowflake go by HTTP, and are one statement each."""

REDACTIONS = ("off", "literals", "all")
"""What of a statement is not shown: nothing, its literals, or all but its verb and tables."""

CALLS_A_LOOK = 4_096
"""After so many calls in one bucket of a node, the probe looks at what its target costs."""

ONE_TIMED_OF = 64
"""Of the calls of a target that costs too much."""

FILE_NAME = "plan"
ADDITION_SUFFIX = ".plan"
"""How the names of what `hookmon reload` adds to the plan of a run end; core.plan.AdditionData."""
ENGINES_FILE_NAME = "engines"
"""Beside the plan, where `hookmon engine build` has built some: {ending of extension modules: (path, size in bytes, problem)}.

The problem is why the engine is refused, "" where it may be loaded.
"""
MODULES_FILE_NAME = "modules"
"""Beside the plan: what is watched, one a line: the names of modules, those of HEARD_OF, and globs of modules and of files.

It is all that the probe reads at start. Absolute paths are globs of files.
"""

AT_ONCE = "!"
"""Among those lines: the probe does not wait for a watched module, there is something else to measure."""

BY_PATH = "/"
"""Among those lines: a watched module may be one that is loaded by its path, past sys.meta_path."""

GLOBS = "~"
"""Among those lines: there are globs."""

MOST_MODULES = 2_000
"""So many modules are watched for each glob, in each process."""

SIGNAL_MODULES = {"loop": ("asyncio.events", "uvloop")}
"""By signal: the modules that it waits for, so as not to import them."""

READS_CODE = {
    "IPython.extensions.deduperreload.deduperreload_patching": "autoreload",
    "cloudpickle.cloudpickle": "cloudpickle",
    "cloudpickle.cloudpickle_fast": "cloudpickle",
    "dill._dill": "dill",
    "joblib.externals.cloudpickle.cloudpickle": "cloudpickle",
    "numba.cloudpickle.cloudpickle": "cloudpickle",
    "numba.core.bytecode": "numba",
    "pyspark.cloudpickle.cloudpickle": "cloudpickle",
    "ray.cloudpickle.cloudpickle": "cloudpickle",
    "torch._dynamo.bytecode_transformation": "torch.compile",
    "typeguard._decorators": "typeguard",
}
"""{module that reads the code of functions: library}. See probe.patching.compilers."""

HEARD_OF = ("coverage.inorout", "greenlet", "numba", "torch", *READS_CODE)
"""Modules that nobody needs to watch and that make a difference to those who watch others.

What coverage measures, how threads are told apart, what is compiled and so not counted, who reads code.
"""

_MAGIC = b"hookmon-plan 1 "
_MARSHAL_VERSION = 2


def encode(plan: Mapping[str, Any]) -> bytes:
    """Return the bytes of a plan file; `plan` is a PlanData, and may have more."""
    body = marshal.dumps(dict(plan), _MARSHAL_VERSION)
    return _head(len(body)) + body


def encode_rest(plan: Mapping[str, Any]) -> bytes:
    """Return all of a plan that is known before its run, to stand between what `around` returns."""
    return marshal.dumps(dict(plan), _MARSHAL_VERSION)[:-1]  # without the byte that ends a dictionary


def around(size: int, more: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return what stands in a plan file before and behind so many bytes that `encode_rest` made: those are not even read.

    `more` is what is known by now. Marshal writes a dictionary as its keys and values one behind the other, and in this version
    without references.
    """
    tail = marshal.dumps(dict(more), _MARSHAL_VERSION)[1:]
    return _head(size + len(tail)), tail


def _head(size: int) -> bytes:
    return _MAGIC + b"%d\n" % size


def addition_name(number: int) -> str:
    """Return the name of the file of an addition to the plan."""
    return f"addition-{number}{ADDITION_SUFFIX}"


def decode(content: bytes) -> Any:
    """Return the plan in `content`.

    Raises PlanError when the bytes are not a whole plan of this version.
    """
    head, newline, body = content.partition(b"\n")
    if not newline or head != _MAGIC + b"%d" % len(body):
        raise _plan_error("the plan file is damaged or was written by another version of hookmon")
    try:
        return marshal.loads(body)
    except (ValueError, EOFError, TypeError) as error:
        raise _plan_error(f"the plan file is damaged: {error}") from error


def _plan_error(message: str) -> Exception:
    from hookmon.core.errors import PlanError  # a module that a watched process does without

    return PlanError(message)
