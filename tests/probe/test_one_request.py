"""One request is one request, however many applications it passes and whatever it calls itself, on both engines."""

from __future__ import annotations

import pytest

SITE = '''
site = module("""
import asyncio, threading

class Response:
    def __init__(self, status): self.status = status

def server(rule, status=200, inner=None): return app(rule, status, inner)
def app(rule, status=200, inner=None):
    query("BEFORE")
    route(rule)
    if inner: inner()
    query("AFTER")
    return Response(status)
def route(rule): return rule
def query(sql): pass
def job(*rules):
    query("JOB")
    for rule in rules: server(rule, 503 if rule == "/busy" else 200)
async def page(rule):
    await asyncio.to_thread(middleware, asyncio.get_running_loop(), rule)
def middleware(loop, rule):
    asyncio.run_coroutine_threadsafe(find(rule), loop).result()
async def find(rule): return rule
def fetch(): return get()
async def get(): await asyncio.sleep(0)
async def three():
    for _ in range(3): await fetch()
""", "site_of_tests")
watch(site, "server", "app", "page", kind="request", span="GET (no route)", entry=True, entry_status="{result.status}")
watch(site, "route", "find", kind="request", entry_name="GET {result}")
watch(site, "query", kind="sql", span="{sql}")
watch(site, "job", "three", kind="task", entry=True)
watch(site, "fetch", kind="cache")
watch(site, "middleware")
import asyncio
'''


@pytest.fixture(params=["pure", "compiled"])
def site(fresh, request):
    """Return the calls by path and the nodes by path of code that runs after SITE on one engine."""

    def run(code):
        nodes = fresh(SITE + code, env={"HOOKMON_ENGINE": request.param}).paths()
        return {path: node.calls for path, node in nodes.items() if node.calls}, nodes

    return run


def test_an_application_within_a_server_is_the_same_request(site):
    """It names it, says its status, and its calls are the request's."""
    calls, nodes = site("for rule in ('/a', '/a', '/b'): site.server(rule)\nsite.server('/busy', 503)")
    expected = {}
    for rule, times in (("/a", 2), ("/b", 1), ("/busy", 1)):
        expected |= {(f"GET {rule}",): times, (f"GET {rule}", "BEFORE"): times, (f"GET {rule}", "AFTER"): times}
    assert calls == expected
    assert nodes["GET /busy",].errors == 1


def test_a_request_within_a_request_does_not_rename_it(site):
    """Of a page that is made of others, by a test client say, the first route is the name."""
    calls, _ = site("site.server('/page', inner=lambda: [site.server(f'/part/{n}') for n in range(3)])")
    assert calls == {("GET /page",): 1, ("GET /page", "BEFORE"): 4, ("GET /page", "AFTER"): 4}


def test_requests_within_a_job_are_rows_of_the_job(site):
    """Each under its route and with its status; one without a route keeps its own, and the job its name and its end."""
    calls, nodes = site("site.job('/a', None, '/busy', '/a')\nsite.job()")
    expected = {("job",): 2, ("job", "JOB"): 2}
    for name, times in (("GET /a", 2), ("GET (no route)", 1), ("GET /busy", 1)):
        expected |= {("job", name): times, ("job", name, "BEFORE"): times, ("job", name, "AFTER"): times}
    assert calls == expected
    assert (nodes["job", "GET /busy"].errors, nodes["job", "GET /a"].errors, nodes["job",].errors) == (1, 0, 0)
    assert (nodes["job", "GET /a"].transactions, nodes["job", "GET /a"].most) == (1, 2)


def test_what_is_open_in_another_thread_moves_with_the_name(site):
    """A middleware that runs in a thread and is not done when the request gets its name."""
    calls, nodes = site("for rule in ('/a', '/b'): asyncio.run(site.page(rule))")
    expected = {}
    for name in ("GET /a", "GET /b"):
        expected |= {(name,): 1, (name, "(concurrent)", "middleware"): 1}
    assert calls == expected
    assert [node.total_ns for path, node in nodes.items() if path[0] == "GET (no route)"] == [0, 0, 0]


def test_a_function_that_returns_what_is_awaited_is_counted_once(site):
    """In the tree, and in how often one transaction calls it."""
    calls, nodes = site("for _ in range(2): asyncio.run(site.three())")
    assert calls == {("three",): 2, ("three", "fetch"): 6}
    assert (nodes["three", "fetch"].most, nodes["three", "fetch"].repeated) == (3, 0)
