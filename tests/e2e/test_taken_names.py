"""Functions that a decorator or a table took before they could be watched: the program is as bare, and they are counted."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from support.engines import ENGINES
from support.runs import PYTHON, bare_run, blind_spots, calls, hookmon_run, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")


class Case(NamedTuple):
    """A program with a handler that was handed on: what it needs, the module, the program, the handler, its calls, who has it."""

    library: str
    module: str
    program: str
    handler: str
    calls: int
    taker: str


CASES = {
    "a job of a process pool": Case(
        "concurrent.futures",
        """
        JOBS = {}

        def job(function):
            JOBS[function.__name__] = function
            return function

        @job
        def double(number):
            return 2 * number
        """,
        """
        import shop
        from concurrent.futures import ProcessPoolExecutor

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                print(list(pool.map(shop.JOBS["double"], [1, 2, 3])))
            print(shop.JOBS["double"] is shop.double)
        """,
        "double",
        3,
        "shop.JOBS",
    ),
    "a namespace in which code is evaluated": Case(
        "builtins",
        """
        def quote(number):
            return number + 1

        SAFE = {"__builtins__": {}, "quote": quote}

        def run(text):
            return eval(text, SAFE)
        """,
        """
        import shop
        print(shop.run("quote(1)"), shop.SAFE["quote"] is shop.quote)
        """,
        "quote",
        1,
        "shop.SAFE",
    ),
    "a receiver of blinker": Case(
        "blinker",
        """
        from blinker import Signal
        sold = Signal()

        @sold.connect
        def note(sender):
            print("note", sender)
        """,
        """
        import shop
        shop.sold.disconnect(shop.note)
        shop.sold.send("x")
        shop.sold.connect(shop.note)
        shop.sold.connect(shop.note)
        shop.sold.send("y")
        """,
        "note",
        1,
        "a weak reference",
    ),
    "a receiver of Django": Case(
        "django",
        """
        from django.dispatch import Signal, receiver
        sold = Signal()

        @receiver(sold)
        def note(sender, **values):
            print("note", sender)
        """,
        """
        import shop
        shop.sold.connect(shop.note)
        shop.sold.send("x")
        print(shop.sold.disconnect(shop.note))
        shop.sold.send("y")
        """,
        "note",
        1,
        "a weak reference",
    ),
    "a listener of SQLAlchemy": Case(
        "sqlalchemy",
        """
        from sqlalchemy import create_engine, event
        engine = create_engine("sqlite://")

        @event.listens_for(engine, "before_cursor_execute")
        def before(connection, cursor, statement, *rest):
            print("before", statement)
        """,
        """
        import shop
        from sqlalchemy import event, text
        print(event.contains(shop.engine, "before_cursor_execute", shop.before))
        for _ in range(2):
            with shop.engine.connect() as connection:
                connection.execute(text("select 1"))
            if event.contains(shop.engine, "before_cursor_execute", shop.before):
                event.remove(shop.engine, "before_cursor_execute", shop.before)
        """,
        "before",
        1,
        "a framework whose callbacks are timed",
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_what_was_handed_on_is_counted_and_stays_what_it_is(case: Case, engine: str, tmp_path: Path) -> None:
    """Jobs are pickled, handlers are found again and run once; each call is counted, whoever has the function."""
    pytest.importorskip(case.library)
    write(tmp_path, {"shop.py": case.module, "app.py": case.program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("shop", "*"), env={"HOOKMON_ENGINE": engine})
    assert (bare.stderr, bare.exit_code) == ("", 0)
    assert under.seen == bare.seen
    assert calls(under.report, f"shop:{case.handler}") == case.calls
    assert not [text for text in blind_spots(under.report) if text.startswith("early reference")]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_name_that_was_handed_on_is_never_replaced(case: Case, engine: str, tmp_path: Path) -> None:
    """Where a wrapper is asked for, the blind spot says which function it is and who has it."""
    pytest.importorskip(case.library)
    write(tmp_path, {"shop.py": case.module, "app.py": case.program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    config = watch("shop", "*", via="name")
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert under.seen == bare.seen
    spot = next(text for text in blind_spots(under.report) if text.startswith(f"early reference: shop:{case.handler} "))
    assert f"{tmp_path / 'shop.py'}:" in spot
    assert case.taker in spot
    assert "watch what it calls" in spot
