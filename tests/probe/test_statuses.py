"""Requests are counted by the status of their responses, on both engines."""

from __future__ import annotations

from textwrap import dedent

import pytest

from hookmon.core import layout

PAGES = '''
pages = module("""
class Response:
    def __init__(self, status): self.status = status

def app(rule, status=200):
    route(rule)
    if status is None: raise ValueError
    if status == "gone": raise KeyboardInterrupt
    return Response(status)

def route(rule): return rule
def job(name): return app(name)
""")
watch(pages, "app", kind="request", span="GET (no route)", entry=True, entry_status="{result.status}")
watch(pages, "route", entry_name="{arg0}")
watch(pages, "job", kind="task", entry=True)
def ask(rule, *statuses):
    for status in statuses:
        try:
            pages.app(rule, status)
        except (ValueError, KeyboardInterrupt):
            pass
'''


@pytest.fixture(params=["pure", "compiled"])
def pages(fresh, request):
    """Run code after PAGES on one engine."""
    return lambda code: fresh(PAGES + dedent(code), env={"HOOKMON_ENGINE": request.param})


def test_each_name_has_its_statuses(pages):
    """Exact counts, times and errors by name and status; all of a name together are its calls."""
    recorded = pages("ask('GET /a', *[200] * 5, 404, 503, 503); ask('GET /b', *[301] * 3)")
    assert recorded.by_status() == {("GET /a", 200): 5, ("GET /a", 404): 1, ("GET /a", 503): 2, ("GET /b", 301): 3}
    assert {row.status: row.errors for row in recorded.statuses} == {200: 0, 404: 0, 503: 2, 301: 0}
    for index, node in enumerate(recorded.nodes):
        own = [row for row in recorded.statuses if row.node == index]
        if own:
            assert sum(row.total_ns for row in own) == node.total_ns
            assert (min(row.min_ns for row in own), max(row.max_ns for row in own)) == (node.min_ns, node.max_ns)
            assert {key: sum(row.buckets.get(key, 0) for row in own) for key in node.buckets} == node.buckets


def test_what_raises_is_what_servers_answer_then(pages):
    """500, unless there was a status; what interrupts a request leaves it without one, and a websocket has none."""
    recorded = pages("ask('GET /a', None, None, 'gone'); ask('WEBSOCKET /b', None)")
    assert recorded.by_status() == {("GET /a", 500): 2, ("GET /a", 0): 1, ("WEBSOCKET /b", 0): 1}
    assert sum(row.errors for row in recorded.statuses) == 3
    assert sum(row.interrupted for row in recorded.statuses) == 1


def test_a_name_has_so_many_statuses_of_its_own(pages):
    """What comes beyond is counted by class; what is no status at all is none."""
    recorded = pages("ask('GET /a', *range(200, 300), *range(500, 600), 7, -1)")
    found = recorded.by_status()
    assert {key[1]: calls for key, calls in found.items() if key[1] >= 100} == dict.fromkeys(range(200, 216), 1)
    assert {key[1]: calls for key, calls in found.items() if key[1] < 100} == {2: 84, 5: 100, 0: 2}
    assert layout.MOST_STATUSES == 16


def test_a_process_has_so_many_statuses(pages):
    """Of very many names the later ones are counted by class, and none is lost."""
    recorded = pages("for number in range(2_100): ask(f'GET /{number}', 200, 404)")
    found = recorded.by_status()
    assert sum(found.values()) == 4_200
    assert sum(status >= 100 for _, status in found) == layout.MOST_STATUS_NODES
    assert found["GET /2099", 2] == found["GET /2099", 4] == 1


def test_a_job_has_no_status(pages):
    """Nor has a request that it makes in its own process: that is a part of the job."""
    recorded = pages("pages.job('GET /a')")
    assert recorded.by_status() == {}
    assert recorded.calls()["GET /a"] == 1


def test_a_fork_counts_its_own(pages):
    """The parent's statuses stay the parent's."""
    recorded = pages("""
    import os
    ask('GET /a', 200, 404)
    if os.fork() == 0:
        ask('GET /a', 200, 503)
        os._exit(0)
    os.wait()
    ask('GET /a', 404)
    """)
    assert recorded.by_status() == {("GET /a", 200): 2, ("GET /a", 404): 2, ("GET /a", 503): 1}
