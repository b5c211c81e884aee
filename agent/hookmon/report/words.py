"""The words of a report, each with what it means: the text behind `hookmon help WORD`. What a code is stands in `codes`."""

from __future__ import annotations

from hookmon.report.codes import Code, slug

_WORD = "words of a report"

_WORDS = (
    (
        "total",
        "The wall time of calls with everything inside; a recursion counts once.",
        "The largest total is no place to begin: look at self.",
    ),
    (
        "self",
        "The total without the watched calls inside it, in the same thread or task.",
        "Most self time first is where to look.",
    ),
    (
        "share",
        "Of what the table is about: of the self time of all watched calls, or of the time of the transactions that it shows.",
        "What is not watched is in no share: the line of the run tells how long all of it took.",
    ),
    ("p50", "Half of the calls took no longer than this; within 2.2 %.", "p95 and p99 say the same for 95 and 99 of 100."),
    (
        "p95",
        "95 of 100 calls took no longer than this; within 2.2 %. Of a few calls it is the slowest.",
        "Compare it with p50: far apart, some calls are not like the others.",
    ),
    (
        "p99",
        "99 of 100 calls took no longer than this; within 2.2 %. Of a few calls it is the slowest.",
        "Compare it with p50: far apart, some calls are not like the others.",
    ),
    (
        "errors",
        "Calls that raised; of requests also those with a status from 500 on.",
        "Cancellation, KeyboardInterrupt, SystemExit and GeneratorExit are none.",
    ),
    (
        "status",
        "Requests by the status of their responses; a name has 16 of its own, the others are counted by class, 5xx.",
        "none: a websocket, or a client that left before the response began. What raises before that is a 500.",
    ),
    (
        "each",
        "How often something is called in one transaction, on average. 0.25: in every fourth.",
        "Beside a number of queries, `sql (52)`, it is the same for all calls of a kind.",
    ),
    (
        "most",
        "The most calls in one transaction. With \u2265 it is at least that: calls of several places are counted place by place.",
        "Far more than each: look at the slowest examples, hookmon open.",
    ),
    (
        "signal",
        "What was measured that is no call: a counter, a gauge or a histogram, such as the pauses of the garbage collector.",
        '`signals = ["gc", "loop"]` in hookmon.toml or --signal gc switches them on; adapters of packs have theirs.',
    ),
    (
        "gc",
        "As a kind: how long the garbage collector stopped watched calls. It is none of their own time.",
        "Much of it: fewer objects that live long, gc.freeze() once all is loaded, or a higher gc.set_threshold().",
    ),
    (
        "imports",
        "How often a module was imported, in all processes; a module that raises is imported again.",
        "`hookmon run --imports` times them as a tree: total is with the modules that it imports, self is without.",
    ),
    (
        "module",
        "A module below the one that imported it first.",
        "What Python imports at its start, before hookmon does, is not among them, nor is what hookmon imports itself.",
    ),
    (
        "count",
        "Of a signal, how often it was measured.",
        "Of a counter, how often something was added to it.",
    ),
    (
        "value",
        "Of a signal: the sum of what was added or recorded; of a gauge, what was set last.",
        "A histogram's mean is its value divided by its count.",
    ),
    (
        "from",
        "The line of the program from which it was called: the innermost frame that is neither a library's nor Python's.",
        "Where there is none, the library's own line.",
    ),
    (
        "time-computing",
        "A thread of the run had a processor: the CPU time of all its processes, hookmon's work inside them included.",
        "Most of the time: look at the calls with most self time that are no client's.",
    ),
    (
        "waiting-for-a-processor",
        "A thread was ready to run, and others had the processors, as Linux counts it.",
        "Is it much, times are not the program's own: run it on a machine that has nothing else to do.",
    ),
    (
        "waiting-for-others",
        "The rest of the run, in which no thread was at work: timers, disks, networks, other programs, users.",
        "A server that nobody asks waits for others.",
    ),
    (
        "at-work",
        "A thread was computing or waiting for a processor. Of several side by side the times are added up.",
        "It can be more than the run took.",
    ),
    (
        "explain",
        "The time of the outermost watched calls, of the run or of the time at work. At most: they may have been side by side.",
        "Below 50 % watch more: the report shows the command.",
    ),
    ("where", "Where a function of your own is defined.", "Calls of packs have none: their name says what they are."),
    (
        "start",
        "One hookmon run of a service; each is a mark in hookmon history, with the `[service] version` it had.",
        "In a report of a service each has a row, with all its processes.",
    ),
    (
        "transaction",
        "A request, a job or a test: the outermost call of a watch with `entry = true`, and all that it calls.",
        "A pack makes one of each request, job and test; `entry = true` makes one of your own function.",
    ),
    (
        "(main)",
        "What belongs to no transaction: the rest of the program.",
        "Set `entry = true` for the function that is called for each piece of work.",
    ),
    (
        "beside",
        "It ran for a transaction in another thread, task or greenlet, perhaps at the same time.",
        "Its time is never taken from the transaction's own, and the sum of all may exceed the duration.",
    ),
    (
        "after",
        "It ran on behalf of a transaction that had ended already: a background task, after the response.",
        "The transaction did not wait for it.",
    ),
    (
        "threads-and-tasks",
        "Threads, asyncio tasks and greenlets that worked for a transaction; each is a line of calls of its own, a lane.",
        "What came one after the other is known within one of them.",
    ),
    (
        "wait",
        "A call that does nothing but wait: for a connection of a pool, or for a thread of an executor.",
        "Long waits: the pool is too small, or what it hands out is held too long.",
    ),
    (
        "gone",
        "A process whose end hookmon did not see, as its parent waited for it: how it ended and its last moments are not known.",
        "Nothing needs to be done: its calls are counted. `end not seen` in a report is the same.",
    ),
    (
        "replaced",
        "A process that became another program by exec; what that one did has a row of its own.",
        "Nothing needs to be done.",
    ),
    (
        "own-cost",
        "What hookmon took in the program's processes: set-up and new places as timed, calls at their price on this machine.",
        "Where it is much, max_overhead has calls timed by samples; watch fewer small functions.",
    ),
    (
        "never-called",
        "The function was found and watched, and no call of it ended.",
        "Does this run reach the code that calls it?",
    ),
    (
        "kind",
        "What a call does: request, task, sql, cache, http, rpc, process (another program), queue, template, hook, function.",
        "A [[watch]] sets it with `kind`.",
    ),
    ("target", "The function that is watched, as `module:name`.", "--watch takes the same."),
    ("span", "One call that was timed, under its name.", "`span` in a [[watch]] makes the name."),
    (
        "saves-up-to",
        "The time of a finding in the whole run, at most, if it could be mended altogether.",
        "hookmon explain says how it was counted.",
    ),
)

WORDS = {name: Code(name, _WORD, meaning, more) for name, meaning, more in _WORDS}
"""{word: what it means, and what to make of it}; a code of the same name is found first."""

_ALIKE = {
    "end-not-seen": "gone",
    "concurrent": "beside",
    "lane": "threads-and-tasks",
    "lanes": "threads-and-tasks",
    "thread-or-task": "threads-and-tasks",
    "thread-or-tasks": "threads-and-tasks",
    "thread-and-task": "threads-and-tasks",
    "transactions": "transaction",
    "waits": "wait",
    "hookmon's-own-cost": "own-cost",
    "overhead": "own-cost",
    "account": "time-computing",
    "computing-time": "time-computing",
    "time-at-work": "at-work",
    "watched-calls-explain": "explain",
    "explained": "explain",
    "not-called": "never-called",
    "0-called": "never-called",
}


def find(text: str) -> Code | None:
    """Return the word that is meant, None when it is none."""
    name = slug(text)
    return WORDS.get(_ALIKE.get(name, name))
