"""The rows of a run: plain data, one class for each table of the run file. `store` has the file and the run."""

from __future__ import annotations

from hookmon.core.record import Record, field, replace


class Node(Record):
    """One place in the call tree. `parent` is an index into the run's nodes, -1 for the root of a lane."""

    parent: int
    name: str
    kind: str
    target: str
    call_site: str = ""  # "path:line" of the caller when the node was made, "" where unknown
    flat: bool = False  # stands for all callers: the tree was full
    calls: int = 0  # completed, errors and interrupted ones included
    errors: int = 0
    interrupted: int = 0  # ended by cancellation, GeneratorExit, KeyboardInterrupt or SystemExit
    total_ns: int = 0
    self_ns: int = 0
    min_ns: int = 0
    max_ns: int = 0
    active_ns: int = 0  # time in steps, for coroutines and async generators
    steps: int = 0
    untimed: int = 0  # of `calls`: counted without being timed
    sited: bool = False  # `call_site` tells this node from others of its name
    entry: bool = False  # a transaction, unless there is one above it
    waits: bool = False  # for a pool or an executor
    part: bool = False  # of a call that is counted: its time counts, it does not
    given_up: bool = False  # of all own functions one that was not worth it: later calls are not counted
    detached: str = ""  # "concurrent", "after": stands for what runs beside or after the transaction above it
    transactions: int = 0  # in which it was called
    most: int = 0  # calls in one transaction
    repeated: int = 0  # lanes of transactions in which it was called five times or more, one after the other
    repeated_calls: int = 0  # how often, there
    repeated_ns: int = 0  # the time of those
    most_repeated: int = 0  # the most of them
    measured: int = 0  # transactions whose CPU time was measured
    measured_for: int = 0  # and how many they stand for: so often each counts in what follows
    measured_ns: int = 0  # their durations
    computed_ns: int = 0  # CPU time of their own threads or tasks, never more than that
    beside_ns: int = 0  # CPU time of what ran for them in other threads and tasks
    buckets: dict[int, int] = field(default_factory=dict)  # core.histogram's {bucket: count}


class Status(Record):
    """The requests of a node with one status.

    `status` is 1 to 9 for all of a class, "5xx", that are not counted one by one, and 0 for those without one.
    """

    node: int  # an index into the run's nodes
    status: int
    calls: int = 0
    errors: int = 0
    interrupted: int = 0
    untimed: int = 0
    total_ns: int = 0
    min_ns: int = 0
    max_ns: int = 0
    buckets: dict[int, int] = field(default_factory=dict)


class Example(Record):
    """A transaction, whole: one of the slowest of its name, or the first with its status or exception.

    `node` is an index into the run's nodes. `spans` are (index of a node, lane, start since the transaction's, duration), by
    their starts; lane 0 is the transaction's own; `failed` are the places of those that raised. `left_out` says how many shorter
    ones there was no room for. `computed_ns` is its CPU time in all threads and tasks, -1 where that was not measured. The ids
    are those of W3C trace context in hex, "" in runs of an older hookmon; `parent_id` is "" where it came without one.
    """

    node: int
    started_ns: int  # CLOCK_MONOTONIC
    duration_ns: int
    status: int  # of the response, 0 where there is none
    left_out: int
    pid: int
    spans: list[tuple[int, int, int, int]]
    computed_ns: int = -1
    failed: list[int] = field(default_factory=list)
    is_slow: bool = True
    is_first_failed: bool = False
    has_failed: bool = False
    error: str = ""  # the type of what it raised, where it did
    window: int = 0  # the last one that it is kept for, 0: the run as a whole
    window_ns: int = 0  # how long windows are: it ends `window * window_ns` on CLOCK_MONOTONIC or less than one later
    started_at_ns: int = 0  # since 1970
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    trace_flags: int = 0  # those of the header it came with, if its trace's id is from there, and 256


class Process(Record):
    """One process of the run. `state` is running, exited, killed, replaced (by exec) or gone; `exit_code` is -N for signal N."""

    pid: int
    parent_pid: int
    command: list[str]
    python: str = ""  # version, "" for a program that is not Python or was not watched
    engine: str = ""
    state: str = "running"
    exit_code: int | None = None
    started_ns: int = 0  # CLOCK_MONOTONIC
    duration_ns: int = 0
    calls: int = 0
    errors: int = 0
    cpu_ns: int = 0
    rss_max_bytes: int = 0
    threads_max: int = 0
    files_max: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    switches: int = 0  # context switches, voluntary and not
    ran_ns: int = 0  # of its threads, as the scheduler says it; 0 where it says nothing
    waited_ns: int = 0  # the same threads, ready to run while others had the processor
    reason: str = ""  # why it was not watched, "" when it was or when nothing is missed
    identity: str = ""  # collector.identity's, as text: tells it from a later process with its pid


class Watched(Record):
    """What became of one thing that was asked for. `status` is active, never imported, not found, refused or unused."""

    target: str
    status: str
    detail: str = ""
    pack: str = ""  # "" for the user's own
    source: str = ""  # "pack redis", "hookmon.toml:12", "--watch"
    via: str = ""  # how its functions are watched: "function", "code", "name", or several of these; "" where none is


class BlindSpot(Record):
    """Something that was asked for or expected and could not be seen. `kind` is one word or two, `detail` one sentence."""

    kind: str
    detail: str


class InFlight(Record):
    """A call that had not ended: `stack` is outermost first, (name, nanoseconds since it began)."""

    pid: int
    lane: str
    stack: list[tuple[str, int]]
    since_ns: int  # of the innermost
    killed: bool = False  # the process was gone when this was read


class Sample(Record, slots=True):
    """What the kernel said of one process at one moment. `at_ns` counts from the start of the run."""

    at_ns: int
    pid: int
    cpu_ns: int
    rss_bytes: int
    threads: int
    files: int
    read_bytes: int
    written_bytes: int
    switches: int

    def differs_from(self, other: Sample) -> bool:
        """Say whether anything but the moment is another."""
        return replace(self, at_ns=other.at_ns) != other


class CallSeries(Record):
    """How the counters of one name grew over the run.

    `points` is JSON text, `[[interval, calls, errors, total_ns, [bucket, calls, bucket, calls, …]], …]`, which only a report
    that draws it unpacks: 30,000 points take longer than all the rest of a run file. Intervals without growth are left out.
    The buckets are those of core.histogram at scale 2. Where timing was sampled, a `total_ns` may be a little below zero.
    """

    name: str
    kind: str
    target: str
    points: str
