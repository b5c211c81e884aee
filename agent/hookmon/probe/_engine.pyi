"""The compiled engine's contract with Python. Classes and functions that the pure engine has as well are described there.

`engine.choose` takes those from here by their names; tests/engine/test_contract.py compares both.
"""

from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType, FunctionType, GeneratorType
from typing import Any

from hookmon.probe.base.shapes import Closable
from hookmon.probe.base.target import Span as Span
from hookmon.probe.base.target import Target
from hookmon.probe.base.target import TargetFields as TargetFields
from hookmon.probe.recording.control import control_page as control_page
from hookmon.probe.recording.control import map_control as map_control
from hookmon.probe.recording.control import plan_number as plan_number
from hookmon.probe.recording.control import switch_now as switch_now
from hookmon.probe.recording.control import unmap_control as unmap_control
from hookmon.probe.recording.control import window_length_ns as window_length_ns
from hookmon.probe.recording.records import Records as Records
from hookmon.probe.recording.tree import CurrentLane as CurrentLane
from hookmon.probe.recording.tree import Lane as Lane
from hookmon.probe.recording.tree import Node as Node
from hookmon.probe.recording.tree import after_fork as after_fork
from hookmon.probe.recording.tree import cover_words as cover_words
from hookmon.probe.recording.tree import join_from_now_on as join_from_now_on
from hookmon.probe.recording.tree import set_words as set_words
from hookmon.probe.recording.tree import untrack as untrack
from hookmon.probe.recording.tree import use_greenlets as use_greenlets
from hookmon.probe.recording.tree import use_records as use_records
from hookmon.probe.transactions.computing import Part as Part
from hookmon.probe.transactions.context import Member as Member
from hookmon.probe.transactions.context import Transaction as Transaction
from hookmon.probe.transactions.context import Visit
from hookmon.probe.transactions.traces import Trace as Trace
from hookmon.probe.wrappers.asgi import Application as Application
from hookmon.probe.wrappers.calls import Observed as Observed
from hookmon.probe.wrappers.calls import ObservedBefore as ObservedBefore
from hookmon.probe.wrappers.calls import ObservedCoroutineFunction as ObservedCoroutineFunction
from hookmon.probe.wrappers.calls import Selective as Selective
from hookmon.probe.wrappers.calls import Timed as Timed
from hookmon.probe.wrappers.calls import TimedCallable as TimedCallable
from hookmon.probe.wrappers.calls import TimedCoroutineFunction as TimedCoroutineFunction
from hookmon.probe.wrappers.calls import TimedGeneratorFunction as TimedGeneratorFunction
from hookmon.probe.wrappers.event_sources import code_events as code_events
from hookmon.probe.wrappers.event_sources import on_resume as on_resume
from hookmon.probe.wrappers.event_sources import on_return as on_return
from hookmon.probe.wrappers.event_sources import on_start as on_start
from hookmon.probe.wrappers.event_sources import on_throw as on_throw
from hookmon.probe.wrappers.event_sources import on_unwind as on_unwind
from hookmon.probe.wrappers.event_sources import on_yield as on_yield
from hookmon.probe.wrappers.event_sources import span_of_function as span_of_function
from hookmon.probe.wrappers.event_sources import take_function as take_function
from hookmon.probe.wrappers.event_sources import time_function as time_function
from hookmon.probe.wrappers.event_sources import watch_code as watch_code
from hookmon.probe.wrappers.event_sources import watch_file as watch_file
from hookmon.probe.wrappers.event_sources import watched_by as watched_by

NUMBERS: int
"""Digest of the numbers that it was built for: `core.layout.NUMBERS`."""
SERVES_OTHERS: int
"""1 where it serves other interpreters than the first, 0 where it was built without _engine_others.c."""

def configure(
    root: Node,
    no_children: dict[Span, Node | None],
    members: ContextVar[Member | None],
    /,
    *,
    call_site: Callable[[Span], str],
    close_abandoned: Callable[[Lane, Node, type[BaseException] | None], None],
    enter_thread: Callable[[], Lane],
    flat_node: Callable[[Span], Node | None],
    follow_awaitable: Callable[[object, Span, int], object],
    follow_code: Callable[[FunctionType, CodeType], None],
    free_lane: Callable[[Lane], None],
    give_back: Callable[[FunctionType], None],
    is_expected: Callable[[Any, type], bool],
    is_own: Callable[[str], bool],
    is_target_off: Callable[[Target], bool],
    join: Callable[[Lane, Span], Visit | None],
    join_from_now_on: Callable[[], None],
    keep_example: Callable[[Transaction, Node, int, int, int, int, int, list[Trace]], None],
    locate: Callable[[Span], Span],
    look: Callable[[Node], None],
    nest: Callable[[Lane, Node, Closable | None], Closable | None],
    new_bucket: Callable[[Node, int], int],
    new_computing: Callable[[Node], int],
    new_lane: Callable[[int | None], Lane],
    new_node: Callable[[Node, Span], Node | None],
    new_per_transaction: Callable[[Node], int],
    note_maker: Callable[[Span], None],
    notice_fork: Callable[[], None],
    prefer_events: Callable[[CodeType], bool],
    rename: Callable[[str], None],
    runs_alone: Callable[[], bool],
    status_node: Callable[[Node, int], Node | None],
    tail: Callable[[Node], Node | None],
    take_new_plan: Callable[[], bool],
    timed_generator: Callable[[object, Span], object],
    weigh: Callable[[CodeType, Span, int], int],
    wrap_awaitable: Callable[[object], object],
) -> None:
    """Say where the rare things are done. Raises TypeError where one of them is missing, or there is one more."""

def use_counter() -> None:
    """Keep time by the processor's time-stamp counter, where there is one."""

def uses_counter() -> bool:
    """Say whether time is kept by the counter; it no more is once it was wrong."""

def now_ns() -> int:
    """Return the time of the stamps: nanoseconds of CLOCK_MONOTONIC."""

def reads() -> dict[str, bool | None]:
    """Say what is read past CPython's interface: {what: whether it is laid out as expected}; None is not known yet."""

def running_key() -> int:
    """Return the key of the running generator: where it keeps the exception that it handles."""

def measure_key(generator: GeneratorType[int, None, None], key: int, /) -> bool:
    """Learn where generators have their key, from one whose key was read while it ran; say whether that is within it."""

def forget_functions() -> None:
    """Be told no more of functions that are made, and time none of those that were timed one by one."""

def bucket_of(duration_ns: int, /) -> int:
    """Return the bucket of a duration, as core.histogram does."""

class TimedMethod(Timed): ...
class CallbackSource(Timed): ...
class Chained: ...

class ShardNodes:
    """The nodes of one shard, for the collector: see collector/shard_records, which does the same in Python."""

    def __init__(self, content: bytes, /) -> None:
        """Read them. Raises ValueError where something is odd or makes no sense: Python has to say what that means."""

    def __len__(self) -> int: ...
    def are_possible(self, age_ns: int, /) -> bool: ...
    def measure(self, now_ns: int, stacks: list[tuple[int, int]], scales: bool, /) -> bool: ...
    def count(self) -> tuple[int, int]: ...
    def events(self) -> tuple[tuple[int, ...], int, int, int, int, list[int]]: ...
    def strings(self) -> dict[int, str]: ...
    def places(self) -> list[int]: ...
    def statuses(self) -> list[int]: ...
    def index(self, number: int, /) -> int: ...
    def buckets(self, number: int, /) -> dict[int, int]: ...
    def row(self, index: int, /) -> tuple[Any, ...]: ...

class CallTree:
    """The call tree of a run, for the collector: see collector/merge, which does the same in Python."""

    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def add(self, shard: ShardNodes, /) -> list[int] | None: ...
    def take_changes(self, most: int, /) -> list[tuple[int, tuple[Any, ...]]]: ...
    def row(self, place: int, /) -> tuple[Any, ...]: ...
    def copy(self) -> CallTree: ...
