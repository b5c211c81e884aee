"""The shard: the layout of the memory-mapped file into which one process counts.

Written by the probe, read by the collector, never locked. Everything is a 64-bit word in the machine's byte order, so that a
counter is one aligned store. A header page is followed by records, one behind the other up to the header's `USED` mark:

    word 0 of every record    type | words of the record << 8 | number << 32

A reader walks from record to record and passes over types that it does not know. Numbers count up from 1 for each type.
Counters only grow; a record's other words are written before its type is, so a record with a type of 0 is one that was
reserved and is still being filled.

    STRING      1: bytes            2…: UTF-8, zero padded
    TARGET      1: string (path)    2: string (kind) | string (pack) << 32      3: string ("file:line" of what the user named)
    NODE        see NODE_…          one for each pair of parent node and span name
    BUCKETS     1: octave           2…17: the 16 buckets of that octave; the number is the node's
    LANE        1: thread ident     2: string (kind of lane)    4…: LANE_DEPTH pairs (node, since) by depth; node 0 = none
    WATCH       1: string (target) | status << 32     2: string (detail); the number is the watch's, the last one holds
    NOTE        1: string (kind)    2: string (detail): something that could not be seen
    PER         see PER_…           how often a node is called in one transaction; the number is the node's
    EXAMPLE     see EXAMPLE_…       a transaction, whole: one of the slowest, or a first that failed so; the number is its node's
    COMPUTING   see COMPUTING_…     CPU time of transactions, of those in which it was measured; the number is their node's
    METRIC      see METRIC_…        a counter, gauge or histogram; it is numbered among the nodes and has BUCKETS as they have

A node's self time is not kept: within one lane it is the node's total less the totals of its children, and a reader can
take the difference. What a node with FLAG_FOLDED calls stands below the nearest node above it with the same name and target: the
two together have the self time of both. Neither are its calls: each completed call is in one bucket, or in NODE_UNTIMED.

A node with FLAG_STATUS is none of the tree: it counts those requests of its parent whose responses had one status, its name, or
a status of one class, "5" for 5xx; "0" where none was told. Each request is in one of them, as long as there is space.

A transaction is a node with FLAG_ENTRY that has no such node above it. What runs for it in other threads and tasks hangs
below a node of its own, FLAG_CONCURRENT or, once the transaction has ended, FLAG_AFTER: such a node has no calls and no time
itself, and its children's time is no part of its parent's. When a transaction gets its name, what it has counted so far
moves to the node of that name: the only case in which counters shrink.

Here are also the limits that both engines keep. The compiled engine has its numbers from here, by `.ci/numbers`.
"""

from __future__ import annotations

MAGIC = 0x314E4F4D4B4F4F48  # the bytes HOOKMON1
VERSION = 3
PAGE_BYTES = 4096
NUMBERS = 0x1AB8AE39
"""Digest of all numbers that the compiled engine shares, written by `.ci/numbers`: an engine with another one is not used."""

NEWEST_MINOR = 15
"""The newest CPython that this hookmon knows is 3 and this: no compiled engine is built for a newer one, or loaded by it."""

# header words
HEADER_MAGIC = 0
HEADER_VERSION = 1
HEADER_PID = 2
HEADER_PARENT_PID = 3
HEADER_STARTED_NS = 4  # CLOCK_MONOTONIC
HEADER_STARTED_WALL_NS = 5  # since 1970
HEADER_USED = 6  # words, header included
HEADER_CAPACITY = 7  # words that have storage behind them
HEADER_STATE = 8
HEADER_HIDDEN_LANES = 9  # lanes that found no slot: recorded, but not shown in flight
HEADER_OWN_NS = 10  # what setting up, patching and new places of the call tree have taken: what no price of a call has in it
HEADER_PACE_PS = 11  # what a call that does nothing took on average at each look at a target, 0 = nobody has looked
HEADER_NAMESPACE = 12  # the inode of the writer's PID namespace
HEADER_STARTED = 13  # when it began, in clock ticks since boot
HEADER_IMAGE = 14  # where its arguments lie: each exec puts them elsewhere; these three are 0 where there is no /proc
HEADER_TEXT_BYTES = 15
HEADER_TEXT = 16  # fields joined by zero bytes: see TEXT_FIELDS

TEXT_FIELDS = ("hookmon", "engine", "python", "executable", "argv")
"""`argv` is the last and takes the rest: its items are joined by zero bytes too."""

STATE_RECORDING = 1
STATE_FULL = 2  # storage or the size limit came to an end: known names go on, new ones are counted flat

SCRATCH = PAGE_BYTES // 8
"""First word behind the header: a record where the writer puts what nobody shall read (calls that a fork inherited)."""

SCRATCH_WORDS = 96

# record types
STRING = 1
TARGET = 2
NODE = 3
BUCKETS = 4
LANE = 5
WATCH = 6
NOTE = 7
PER = 8
EXAMPLE = 9
METRIC = 10
COMPUTING = 11

STRING_BYTES = 1
STRING_FIRST = 2

# words of a target record
TARGET_PATH = 1
TARGET_KIND_PACK = 2

# words of a node
NODE_PARENT_NAME = 1  # parent node | string << 32; parent 0 = a root of its lane
NODE_TARGET_SITE = 2  # target | string of the call site << 32; 0 = unknown
NODE_FLAGS = 3
NODE_TOTAL_NS = 4
NODE_MIN_NS = 5
NODE_MAX_NS = 6
NODE_ACTIVE_NS = 7  # time in steps: coroutines and async generators
NODE_ERRORS = 8
NODE_INTERRUPTED = 9  # ended by CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit: completed, not errors
NODE_STEPS = 10  # resumptions of coroutines and generators
NODE_UNTIMED = 11  # calls that were counted and not timed
NODE_WORDS = 12

FLAG_FLAT = 1  # the tree was full: this node stands for all callers; its time is inside their self time
FLAG_ENTRY = 2
FLAG_CONCURRENT = 4
FLAG_AFTER = 8
FLAG_SITED = 16  # the call site is part of what the node is: another line that calls the same has another node
FLAG_WAITS = 32  # what is timed is waiting for a pool or an executor
FLAG_PART = 64  # its calls are parts of others: the rows of a statement, the body of a response
FLAG_COROUTINE = 128  # its steps are those of coroutines, else of generators
FLAG_BY_EVENTS = 256  # its function is known by the events of its code
FLAG_BY_SLOT = 512  # its function is called by way of us; of neither of these two, a wrapper is
FLAG_STATUS = 1024  # counts the requests of its parent with one status

FLAG_GIVEN_UP = 2048  # calls after those that it has are not recorded: watching them would have cost more than they did
FLAG_EXPECTS = 8192  # some exceptions are no errors of it: they count as interrupting it
FLAG_FOLDED = 4096  # a call within a call of the same function: what it calls stands below the outer one

PER_TRANSACTIONS = 1  # with at least one call
PER_MOST = 2  # calls in one transaction
PER_REPEATED = 3  # lanes of transactions that called it REPEATED times or more, one after the other
PER_REPEATED_CALLS = 4
PER_REPEATED_NS = 5
PER_MOST_REPEATED = 6
PER_WORDS = 7

REPEATED = 5

COMPUTING_MEASURED = 1  # transactions in which CPU time was measured
COMPUTING_STANDS_FOR = 2  # and how many they stand for: where one of N is measured, it counts N times here and in the sums below
COMPUTING_DURATION_NS = 3  # from their calls to their returns
COMPUTING_OWN_NS = 4  # CPU time of their own lanes, never more than that
COMPUTING_BESIDE_NS = 5  # CPU time of their other threads and tasks
COMPUTING_WORDS = 6

MOST_COMPUTING_SHARE = 500  # reading the clock of CPU time takes one 500th of the transactions' time at most
FIRST_MEASURED = 16  # so many transactions of an entry are measured in any case
MOST_STANDS_FOR = 1_000  # transactions for which one that is measured stands

OUTCOME_RETURNED = 0  # how a call of a transaction ended; not in the shard
OUTCOME_RAISED = 1
OUTCOME_INTERRUPTED = 2
OUTCOME_UNTIMED = 4  # added to one of the others: the call was counted and not timed

EXAMPLE_TURN = 1  # odd while it is being written
EXAMPLE_STARTED_NS = 2
EXAMPLE_DURATION_NS = 3
EXAMPLE_STATUS = 4  # of a response, 0 = none
EXAMPLE_SPANS = 5
EXAMPLE_LEFT_OUT = 6  # spans for which there was no room: the shortest
EXAMPLE_COMPUTED_NS = 7  # 1 + CPU time of all its lanes, 0 = not measured
EXAMPLE_WINDOW = 8  # in which it ended, counted on CLOCK_MONOTONIC; 0: it is kept for the run as a whole
EXAMPLE_WINDOW_NS = 9  # how long those are
EXAMPLE_FLAGS = 10
EXAMPLE_ERROR = 11  # string: the type of what it raised, 0 = nothing that is known
EXAMPLE_WALL_NS = 12  # when it began, since 1970
EXAMPLE_TRACE_HIGH = 13  # the trace's id, W3C trace context
EXAMPLE_TRACE_LOW = 14
EXAMPLE_SPAN_ID = 15  # its own; those of its spans come of it: core.traceparent
EXAMPLE_PARENT_ID = 16  # of the caller's span, 0 = none told
EXAMPLE_TRACE_FLAGS = 17
EXAMPLE_FIRST = 18  # three words for each span: node | lane << 32 | EXAMPLE_SPAN_FAILED, start since the transaction's, duration
EXAMPLE_SPAN_FAILED = 1 << 63
EXAMPLE_MOST_SPANS = 100
EXAMPLE_WORDS = EXAMPLE_FIRST + 3 * EXAMPLE_MOST_SPANS
EXAMPLES = 3  # of each name, the slowest of the run as a whole
MOST_FAILED_EXAMPLES = 4  # of each name, in the run as a whole and in a window: the first with each status or exception
MOST_EXAMPLES = 6_000  # of a process: 15 MB

EXAMPLE_IS_SLOW = 1  # one of the slowest
EXAMPLE_IS_FIRST_FAILED = 2  # the first with its status or exception
EXAMPLE_HAS_FAILED = 4

CONTROL_NAME = "control"
"""Beside the plan: a page that the launcher writes and all processes of the run read."""
CONTROL_MAGIC = 0
CONTROL_WINDOW_NS = 1  # the length of the windows of which examples are kept, 0 = none
CONTROL_UNTIL_NS = 2  # of what ends before that, CLOCK_MONOTONIC: who wants windows has to go on saying so
CONTROL_SWITCH = 3  # 0: all is on; else a number that is new each time, times SWITCH_STEP, and what follows
CONTROL_SWITCHED = 4  # how often it was switched
CONTROL_OFF_BYTES = 5  # of what is off, from the word CONTROL_OFF on: lines of UTF-8, see core.switches
CONTROL_PLAN = 6  # the number of the newest addition to the plan, 0 = none: see core.plan.addition_name
CONTROL_OFF = 8
CONTROL_WORDS = 7
CONTROL_IS_OURS = 0x314C54434D4B4F48  # the bytes HOKMCTL1

SWITCH_ALL_OFF = 1  # nothing is recorded that begins now
SWITCH_CHANGING = 2  # what is off is being written: until then nothing is
SWITCH_PLAN = 4  # there is an addition to the plan
SWITCH_STEP = 8
MOST_OFF_BYTES = PAGE_BYTES - 8 * CONTROL_OFF

BUCKETS_OCTAVE = 1
BUCKETS_FIRST = 2
BUCKETS_WORDS = 2 + 16

METRIC_NAME_UNIT = 1  # string | string << 32
METRIC_KIND = 2  # its place in METRIC_KINDS
METRIC_VALUE = 3  # this one, the least and the most are floating point: a sum, of a gauge what was set last
METRIC_COUNT = 4  # how often it was added to, set or recorded
METRIC_MIN = 5
METRIC_MAX = 6
METRIC_AT_NS = 7  # of a gauge: when it was set last, CLOCK_MONOTONIC
METRIC_WORDS = 8

METRIC_KINDS = ("", "counter", "gauge", "histogram")
METRIC_SCALES = {"s": 1_000_000_000}  # by unit: what a value is multiplied by for its bucket; others have the buckets of amounts
MOST_METRICS = 200  # of a process

LANE_IDENT = 1
LANE_KIND = 2
LANE_FIRST = 4
LANE_DEPTH = 30
LANE_WORDS = LANE_FIRST + 2 * LANE_DEPTH

SCRATCH_LANE = SCRATCH + 1  # the parts of the scratch record: a lane's first pair, a node's total, a bucket
SCRATCH_TOTAL = SCRATCH + LANE_WORDS + 2
SCRATCH_BUCKET = SCRATCH_TOTAL + NODE_WORDS

# states of a target
TARGET_ACTIVE = 1
TARGET_NOT_FOUND = 2  # the detail lists the names that are there, one a line
TARGET_REFUSED = 3  # found, and cannot be patched: the detail says why
TARGET_ELSEWHERE = 4  # not found where it was looked for: the detail says where that was

NOTE_PLAN = "plan"  # no blind spot: the number of an addition to the plan that was taken; with a blank and why, where it was not
NOTE_NO_ENGINE = "no engine"  # kinds of notes about the engine; the detail is why the pure one serves
NOTE_STALE_ENGINE = "stale engine"  # one is there and is refused
NOTE_UNKNOWN_PYTHON = "unknown python"
ENGINE_NOTES = (NOTE_NO_ENGINE, NOTE_STALE_ENGINE, NOTE_UNKNOWN_PYTHON)
NOTE_LIBRARY = "library"  # kind of a note that is no blind spot by itself: the detail is a module of core.known_libraries
NOTE_COMPILER = "compiler"  # kind of a note that is no blind spot: the detail is a module that makes machine code of functions

FIRST_BYTES = 64 * 1024
LARGEST_BYTES = 64 * 1024 * 1024
LEFT_SHARE = 4  # a fourth of the file system is left to the program
MOST_LEFT_BYTES = 32 * 1024 * 1024  # but of a large one no more than this
MOST_NODES = 32_768
MOST_LANES = 8_192
MOST_NAMES_OF_A_TARGET = 10_000
OTHER_NAMES = "(other)"  # of a target beyond those
DEEPEST = 4_000
MOST_KNOWN = 10_000  # spans that a stand-in remembers before it begins anew
LONGEST_STRING = 4_000  # in bytes: what is longer is cut
MOST_FRAMES = 100  # so far up the stack the program's own code is looked for: an ORM takes 20 to 40 frames
MOST_EVENTS = 4_096  # calls of a lane in a transaction that are known one by one; beyond that they are added up by node
MOST_TRACES = 1_000  # lanes of a transaction whose calls are known
FAILED_FROM = 500  # statuses of a response from here on are errors
NO_ANSWER = 500  # what servers answer where an application raises before it has begun a response
MOST_STATUSES = 16  # of a name of requests that are counted one by one; those beyond by their class
MOST_STATUS_NODES = 4_096  # of a process
LONGEST_OWN_NS = 200_000  # what is charged to HEADER_OWN_NS at once: what takes longer was interrupted

LARGEST_COUNT = 2**62  # what a counter of a damaged shard may claim: SQLite keeps 63 bits, and sums are made
SHORTEST_CALL_NS = 8  # a call that is only counted takes more with either engine

SHARD_SUFFIX = ".shard"
BIRTH_SUFFIX = ".born"
DROP_NAME = "drop"
"""A process that starts with the probe leaves `PID-STARTED.born`; once a watched module is there, `PID-STARTED.shard`."""

BIRTH_FIELDS = ("pid", "parent_pid", "started_ns", "status", "python", "executable", "namespace", "stat", "argv")
"""Text joined by zero bytes. `status` is empty, or says why this process is not watched. `argv` takes the rest.

`namespace` is the inode of the process's PID namespace, `stat` what /proc/self/stat holds behind the name; both may be empty.
"""


def record_head(kind: int, words: int, number: int) -> int:
    """Return word 0 of a record."""
    return kind | words << 8 | number << 32
