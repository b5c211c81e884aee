"""What to change about a finding: for each of its kinds, and for the kind of call. In: a finding. Out: sentences."""

from __future__ import annotations

from hookmon.report.findings import Finding

_REPETITION = {
    "sql": "Ask once for all of them: WHERE id IN (…) or a join; in an ORM load the relation with the rows that need it "
    "(select_related and prefetch_related in Django, selectinload in SQLAlchemy).",
    "cache": "Fetch all keys in one round trip: MGET, or a pipeline.",
    "http": "Ask for many in one request where the other side offers that; else make the requests at once (asyncio.gather, a "
    "pool of threads) over one session that keeps its connections.",
    "rpc": "Use a call that takes many, or make the calls at once.",
    "process": "Start the program once and hand it all of the work, start several at once, or call a library instead.",
    "queue": "Publish in one batch; most brokers' clients have one.",
    "template": "Render the list in one template, with the loop inside it, and let the environment keep compiled templates.",
}
_LOOP = "Move the call out of the loop, or keep its result while the transaction lasts."

_DOMINATED = {
    "sql": "Look at the statement's plan (EXPLAIN ANALYZE): an index that is missing, rows that are read and not needed, a lock.",
    "cache": "A slow answer of a cache is a large value, a slow command (KEYS, large LRANGE, a script), or the network.",
    "http": "The other side takes that long: set a timeout, keep the connection, ask for less, or do it after the response.",
    "rpc": "The other side takes that long: set a deadline, ask for less, or do it after the response.",
    "process": "The program takes that long: give it less to do, do something else meanwhile, or start it after the response.",
    "queue": "Publish after the response, or without waiting for the broker's confirmation where it may be lost.",
    "template": "Render less, keep the rendered part in a cache, and see that templates are compiled once.",
}
_CODE = "It is Python that takes the time, or something in it that is not watched: watch the functions that it calls (--watch)."


def advice(finding: Finding, call_kind: str) -> list[str]:
    """Return what to change, and how to see that it helped. `call_kind` is the kind of the call, "" where it is not known."""
    first = {
        "repetition": _REPETITION.get(call_kind, _LOOP),
        "dominated": _DOMINATED.get(call_kind, _CODE),
        "waiting": "Enlarge the pool or the executor up to what the other side can take, and hold what is taken from it for a "
        "shorter time: no other work between taking it and giving it back.",
        "computing": "Start more worker processes (gunicorn --workers, uvicorn --workers, celery --concurrency), up to the "
        "number of processors; more threads of one process share one interpreter, unless it is free-threaded. To make each "
        "shorter, watch the functions that it calls (--watch) and see which of them computes.",
        "errors": "Look at the exceptions in the program's own log; a call that fails and is tried again costs its time twice.",
        "burst": "Look at what else happened at that moment: a deployment, a restart of what it calls, a limit that was reached. "
        "The time series in hookmon open shows it beside everything else.",
        "outlier": "One call is no trend: look at what else ran at that moment (a first connection, a lock, a pause of the other "
        "side); hookmon report --format chrome shows the slowest examples on a line of time.",
    }.get(finding.kind, "")
    return [*([first] if first else []), "Then run it again: hookmon diff says whether it helped."]
