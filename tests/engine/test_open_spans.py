"""Spans that an adapter opens in one call and closes in another, on both engines."""

from __future__ import annotations

OPENER = """
import threading
from hookmon.adapter import span_opener
from hookmon.probe.base.target import Target
from hookmon.probe.wrappers.make import stand_in
target = Target("shop:Box.put", "queue", "post", "shop", True, waits=True)
open_span = span_opener(lambda function, call: stand_in(function, target, "letter to {arg0}", is_method=True), "Box.put")
"""


def test_a_span_is_counted_once_when_it_is_closed(on):
    """By whatever thread; as an error where it is closed with one, and never where nobody closes it."""
    recorded = on(
        OPENER
        + """
rome = open_span(None, "Rome")
thread = threading.Thread(target=rome.close); thread.start(); thread.join()
rome.close(); rome.close(ValueError())
open_span(None, "Oslo").close(ValueError("torn"))
open_span(None, "Bern").close(GeneratorExit())
open_span(None, "Kiev")
"""
    )
    assert recorded.calls() == {"letter to Rome": 1, "letter to Oslo": 1, "letter to Bern": 1}
    assert recorded.errors() == {"letter to Oslo": 1}
    assert recorded.interrupted() == {"letter to Bern": 1}


def test_a_span_that_was_opened_before_a_fork_is_the_parents(on):
    """A child that closes it, too, counts nothing; its own spans are counted."""
    recorded = on(
        OPENER
        + """
rome = open_span(None, "Rome")
if not os.fork():
    rome.close()
    open_span(None, "Oslo").close()
    os._exit(0)
os.wait()
rome.close()
"""
    )
    assert recorded.calls() == {"letter to Rome": 1, "letter to Oslo": 1}
    assert sorted(sum(node.calls for node in shard.nodes) for shard in recorded.shards) == [1, 1]


def test_a_span_keeps_neither_its_arguments_nor_an_error(on):
    """Whoever keeps the span keeps nothing of the program's."""
    recorded = on(
        OPENER
        + """
import gc, weakref
class Letter:
    town = "Rome"
class TornError(Exception): pass
letter, error = Letter(), TornError()
gone = weakref.ref(letter), weakref.ref(error)
span = open_span(None, letter)
span.close(error)
del letter, error
gc.collect()
print([reference() for reference in gone])
"""
    )
    assert recorded.out == "[None, None]\n"
