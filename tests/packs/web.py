"""What holds for every WSGI framework: counts per route against the client's and the servers' own, and no secret anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from support.servers import Postgres, Valkey
from support.web import GUNICORN, STATUSES, TABLES, Served, serve_app

from .conftest import ENGINE, PYTHON, SECRET, _has

STORES = ("redis", "psycopg")


def serve(
    valkey: Valkey,
    postgres: Postgres,
    app: str,
    *,
    needs: str,
    packs: Sequence[str],
    command: Sequence[str] = (*GUNICORN, "app:app"),
    files: Mapping[str, str] | None = None,
) -> Served:
    """Serve the usual traffic and return what was recorded of it; skip where a library is missing."""
    missing = _has((needs, "gunicorn", *STORES))
    if missing:
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    postgres.execute(TABLES)
    postgres.reset()
    env = ENGINE | {"REDIS_URL": valkey.url, "DSN": postgres.dsn}
    return serve_app(app, command, packs=[*packs, *STORES], env=env, python=PYTHON, files=files)


def holds(
    one: Served,
    valkey: Valkey,
    postgres: Postgres,
    *,
    user: str,
    orders: str = "POST /orders",
    streamed: Mapping[str, int] | None = None,
    lacks: Sequence[str] = (),
) -> None:
    """Check all counts of the usual traffic.

    `user` and `orders` are the framework's names of two routes. `lacks` are targets that
    an older release may be without.
    """
    assert one.statuses == STATUSES, one.log
    assert one.requests() == {
        user: 40,
        orders: 12,
        "GET /feed": 8,
        "GET /boom": 4,
        "GET /busy": 4,
        "GET (no route)": 8,
        "OTHER (no route)": 4,
    }
    assert one.errors() == {"GET /boom": 4, "GET /busy": 4}
    sql, cache = one.calls("sql"), one.calls("cache")
    person, insert, feed = "SELECT name FROM person WHERE name = ?", "INSERT INTO orders VALUES (?)", "SELECT number FROM feed"
    own = {key: count for key, count in sql.items() if key[1] in (person, insert, feed)}
    assert own == {(user, person): 80, (orders, insert): 12, ("GET /feed", feed): 24}
    statements = postgres.statements()
    assert {text: count for text, count in statements.items() if " person " in text or " orders " in text or "feed" in text} == {
        person.replace("?", "$1"): 80,
        insert.replace("?", "$1"): 12,
        feed: 24,
    }
    own = {key: count for key, count in cache.items() if key[1] in ("redis GET", "redis RPUSH")}
    assert own == {(user, "redis GET"): 200, (orders, "redis RPUSH"): 12}
    assert valkey.commands() == {"get": 200, "rpush": 12}
    assert one.streamed() == ({"GET /feed": 8} if streamed is None else streamed)
    failed = {target: state for target, state in one.recorded.watched.items() if state.startswith(("not found", "refused"))}
    assert set(failed) <= set(lacks), failed
    assert one.recorded.leaks(SECRET) == []
