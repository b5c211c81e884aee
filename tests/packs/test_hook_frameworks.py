"""Hook frameworks: callbacks against the counts that they keep themselves; iterations, trials, builds, jobs against theirs.

The last line that a program prints is JSON: {name: calls}. Its callbacks count themselves by `count`, which all programs have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from .conftest import SECRET
from .hooked import Both, both, require

__all__ = ["both"]

COUNT = f"""
import collections, json
SECRET = {SECRET!r}
counts = collections.Counter()
def count(name): counts[name] += 1
def tell(): print(json.dumps(counts, sort_keys=True))
"""


NONE: Mapping[str, int] = MappingProxyType({})
NO_FILES: Mapping[str, str] = MappingProxyType({})


class Case(NamedTuple):
    """A program on a framework. `transactions` and `errors` are {name: number}, of those that it has; `packs` besides its own."""

    needs: tuple[str, ...]
    program: str
    transactions: Mapping[str, int] = NONE
    errors: Mapping[str, int] = NONE
    interrupted: Mapping[str, int] = NONE
    packs: tuple[str, ...] = ()
    files: Mapping[str, str] = NO_FILES


TRAINED = """
import numpy as np, warnings
warnings.simplefilter("ignore")
x = np.arange(200.0).reshape(100, 2); y = (np.arange(100) % 2).astype(float)
"""

CASES = {
    "xgboost": Case(
        ("xgboost",),
        TRAINED
        + """
import copy, pickle, xgboost
class Slow(xgboost.callback.TrainingCallback):
    def __init__(self): self.secret = SECRET
    def after_iteration(self, model, epoch, log):
        count("Slow.after_iteration"); return epoch == 4
    def before_training(self, model):
        count("Slow.before_training"); return model
slow = Slow()
data = xgboost.DMatrix(x, y)
for one in (slow, copy.copy(slow), copy.deepcopy(slow), pickle.loads(pickle.dumps(slow))):
    xgboost.train({"nthread": 1}, data, 9, callbacks=[one], evals=[(data, SECRET.replace("-", "_"))], verbose_eval=False)
print(sorted(vars(slow)), slow.after_iteration == slow.after_iteration)
""",
        {"xgboost iteration": 20},
    ),
    "lightgbm": Case(
        ("lightgbm",),
        TRAINED
        + """
import lightgbm
def each(env): count("each")
def stops(env):
    count("stops")
    if env.iteration == 3: raise lightgbm.callback.EarlyStopException(3, [])
data = lightgbm.Dataset(x, y, params={"verbose": -1})
mine = [each, stops]
for _ in range(2):
    lightgbm.train({"verbose": -1, "num_threads": 1}, data, 9, callbacks=mine)
print(mine == [each, stops], mine[0] is each, vars(each))
""",
        {"lightgbm update": 8},
        interrupted={"stops": 2},
    ),
    "optuna": Case(
        ("optuna",),
        """
import optuna
optuna.logging.disable_default_handler()
def objective(trial):
    count("objective")
    trial.set_user_attr("card", SECRET)
    if trial.number == 2: raise optuna.TrialPruned(SECRET)
    if trial.number == 4: raise KeyError(SECRET)
    return trial.suggest_float("x", 0, 1)
def each(study, trial): count("each")
study = optuna.create_study()
study.optimize(objective, n_trials=6, callbacks=[each], catch=(KeyError,))
study.optimize(objective, n_trials=2, callbacks=(each, each))
print([trial.state.name for trial in study.trials])
""",
        {"optuna trial": 8},
        {"objective": 1},
        {"objective": 1},
    ),
    "apscheduler": Case(
        ("apscheduler",),
        """
import asyncio, logging, threading, time
logging.disable(logging.CRITICAL)
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_ERROR
done = threading.Semaphore(0)
def heard(event):
    count("heard"); done.release()
def pay(card): pass
def lose(card): raise ValueError(card)
scheduler = BackgroundScheduler()
scheduler.add_listener(heard, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
scheduler.start()
for job in (pay, pay, lose): scheduler.add_job(job, args=[SECRET])
for _ in range(3): done.acquire()
scheduler.remove_listener(heard)
scheduler.shutdown()
async def asked(card): await asyncio.sleep(0)
async def main():
    scheduler = AsyncIOScheduler()
    ended = asyncio.Event()
    def told(event):
        count("main.told"); ended.set()
    scheduler.add_listener(told, EVENT_JOB_EXECUTED)
    scheduler.start()
    scheduler.add_job(asked, args=[SECRET], name="nightly")
    await ended.wait()
    scheduler.shutdown()
asyncio.run(main())
""",
        {"job pay": 2, "job lose": 1, "job nightly": 1},
    ),
    "watchdog": Case(
        ("watchdog",),
        """
import os, time
from watchdog.observers.polling import PollingObserver
from watchdog.events import FileSystemEventHandler
class Handler(FileSystemEventHandler):
    def on_created(self, event): count("Handler.on_created")
    def on_any_event(self, event): count("Handler.on_any_event")
os.mkdir("watched")
observer = PollingObserver(timeout=0.05)
handler = Handler()
observer.schedule(handler, "watched")
observer.start()
open(f"watched/{SECRET}", "w").close()
while not counts["Handler.on_created"]: time.sleep(0.02)
observer.unschedule_all(); observer.stop(); observer.join()
print(vars(handler), handler.on_created == handler.on_created, Handler.on_created.__name__)
counts["Handler.on_any_event"] = 0
""",
    ),
    "traitlets": Case(
        ("traitlets",),
        """
from traitlets import HasTraits, Int, observe, validate, default
class Shop(HasTraits):
    price = Int()
    stock = Int()
    @observe("price")
    def _changed(self, change): count("Shop._changed")
    @validate("price")
    def _valid(self, proposal):
        count("Shop._valid"); return proposal["value"]
    @default("stock")
    def _stock(self):
        count("Shop._stock"); return 3
def seen(change): count("seen")
shop = Shop()
shop.observe(seen, names=["price"])
for price in (1, 2, 2, 3): shop.price = price
shop.unobserve(seen, names=["price"])
shop.price = 9
print(shop.stock, shop.trait_names(), len(shop._trait_notifiers["price"]["change"]))
""",
    ),
    "ipython": Case(
        ("IPython",),
        """
import os
os.environ["IPYTHONDIR"] = os.getcwd()
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
def before(info): count("before")
def after(result): count("after")
shell.events.register("pre_run_cell", before)
shell.events.register("post_run_cell", after)
for text in ("a = 1", f"card = {SECRET!r}", "print(a + 1)"): shell.run_cell(text)
shell.events.unregister("pre_run_cell", before)
shell.run_cell("a + 2")
shell.history_manager.end_session() if hasattr(shell.history_manager, "end_session") else None
""",
        {"IPython cell": 4},
    ),
    "click": Case(
        ("click",),
        """
import click
from click.testing import CliRunner
def checked(ctx, param, value):
    count("checked"); return value
@click.group()
def shop(): count("shop")
@shop.command()
@click.option("--card", callback=checked)
def buy(card): count("buy")
@shop.command()
@click.pass_context
def leave(ctx):
    count("leave"); ctx.exit(3)
@shop.command()
def fail():
    count("fail"); raise KeyError(SECRET)
print([CliRunner().invoke(shop, line).exit_code for line in (["buy", "--card", SECRET], ["leave"], ["fail"], ["buy"])])
print(buy.callback == shop.commands["buy"].callback, checked.__name__)
""",
        errors={"fail": 1},
    ),
    "typer": Case(
        ("typer",),
        """
import typer
from typer.testing import CliRunner
app = typer.Typer()
@app.command()
def buy(card: str): count("buy")
@app.command()
def leave():
    count("leave"); raise typer.Exit(3)
print([CliRunner().invoke(app, line).exit_code for line in (["buy", SECRET], ["leave"], ["buy", SECRET])])
""",
        interrupted={"leave": 1},
    ),
    "dash_callbacks": Case(
        ("dash",),
        """
import dash
from dash import Input, Output, html, dcc
app = dash.Dash(__name__)
app.layout = html.Div([dcc.Input(id="in", value=""), html.Div(id="quick"), html.Div(id="slow")])
@app.callback(Output("quick", "children"), Input("in", "value"))
def quick(value): return value
@app.callback(Output("slow", "children"), Input("in", "value"))
def slow(value): return len(value)
client = app.server.test_client()
for name, times in (("quick", 3), ("slow", 2)):
    for _ in range(times):
        answer = client.post("/_dash-update-component", json={"output": f"{name}.children",
            "outputs": {"id": name, "property": "children"}, "changedPropIds": ["in.value"], "state": [],
            "inputs": [{"id": "in", "property": "value", "value": SECRET}]})
        print(answer.status_code, len(answer.json["response"]))
""",
        {"dash quick": 3, "dash slow": 2},
        packs=("flask",),
    ),
    "mkdocs": Case(
        ("mkdocs",),
        """
import logging
logging.disable(logging.CRITICAL)
from mkdocs.commands.build import build
from mkdocs.config import load_config
import site_hooks
build(load_config("mkdocs.yml"))
counts.update({"site_hooks.py: page_markdown": site_hooks.pages, "site_hooks.py: post_build": site_hooks.builds})
""",
        {"mkdocs build": 1},
        files={
            "mkdocs.yml": f"site_name: {SECRET}\nhooks: [site_hooks.py]\nplugins: [search]\nsite_url: http://127.0.0.1/\n",
            "docs/index.md": "# One\n",
            "docs/two.md": f"# Two\n\n{SECRET}\n",
            "site_hooks.py": """
import sys
pages = builds = 0
def on_page_markdown(text, **more):
    sys.modules["site_hooks"].pages += 1
    return text
def on_post_build(**more): sys.modules["site_hooks"].builds += 1
""",
        },
    ),
    "sphinx": Case(
        ("sphinx",),
        """
from sphinx.application import Sphinx
import extension
app = Sphinx("source", "source", "out", "trees", "html", status=None, warning=None, freshenv=True)
app.build()
counts.update({"source-read: read": extension.reads, "build-finished: Built.done": extension.done})
""",
        {"sphinx build": 1},
        files={
            "source/conf.py": f"project = {SECRET!r}\nextensions = ['extension']\n",
            "source/index.rst": "One\n===\n\n.. toctree::\n\n   two\n",
            "source/two.rst": f"Two\n===\n\n{SECRET}\n",
            "extension.py": """
reads = done = 0
def read(app, name, source):
    global reads
    reads += 1
class Built:
    def done(self, app, error):
        global done
        done += 1
def setup(app):
    app.connect("source-read", read)
    number = app.connect("source-read", read)
    app.disconnect(number)
    app.connect("build-finished", Built().done)
    return {"parallel_read_safe": True}
""",
        },
    ),
    "langchain_core": Case(
        ("langchain_core",),
        """
import asyncio
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
class Slow(BaseCallbackHandler):
    def on_chain_start(self, *args, **more): count("Slow.on_chain_start")
    def on_chain_error(self, *args, **more): count("Slow.on_chain_error")
class Late(AsyncCallbackHandler):
    async def on_chain_end(self, *args, **more): count("Late.on_chain_end")
chain = RunnableLambda(lambda text: text + "!") | RunnableLambda(len)
slow, late = Slow(), Late()
print([chain.invoke(SECRET, config={"callbacks": [slow]}) for _ in range(3)])
print(asyncio.run(chain.ainvoke(SECRET, config={"callbacks": [late, slow]})))
try:
    chain.invoke(3, config={"callbacks": [slow]})
except TypeError as error:
    print("failed")
print(vars(slow), slow == slow, slow.on_chain_start == slow.on_chain_start)
""",
        {"langchain sequence": 5},
    ),
    "fastapi_hooks": Case(
        ("fastapi", "httpx"),
        """
import functools, warnings
warnings.simplefilter("ignore")
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
def card(number: str = ""):
    count("dependency card"); return number
async def session():
    count("dependency session")
    yield 1
class Checker:
    def __call__(self): count("dependency Checker"); return 3
class Page:
    def __init__(self, size: int = 4): self.size = size
def other(): count("other"); return "other"
app = FastAPI(dependencies=[Depends(Checker())])
@app.get("/pay")
def pay(card=Depends(card), session=Depends(session), page: Page = Depends(Page)): return [len(card), page.size]
client = TestClient(app)
print([client.get("/pay", params={"number": SECRET}).json() for _ in range(3)])
app.dependency_overrides[card] = other
print(client.get("/pay").json(), sorted(app.openapi()["paths"]))
counts.pop("other")
""",
    ),
    "twisted": Case(
        ("twisted",),
        """
import pickle
from twisted.internet import defer
def done(value):
    count("done"); return value
def failed(failure): count("failed")
def both(value): count("both")
def raises(value): raise KeyError(SECRET)
for value in (1, KeyError(SECRET)):
    deferred = defer.Deferred()
    deferred.addCallbacks(done, failed, callbackArgs=())
    deferred.addCallback(done).addCallback(raises).addErrback(failed).addBoth(both)
    deferred.callback(value) if value == 1 else deferred.errback(value)
""",
        errors={"raises": 2},
    ),
    "scrapy": Case(
        ("scrapy",),
        """
import http.server, logging, threading
logging.disable(logging.CRITICAL)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Type", "text/html"); self.end_headers()
        self.wfile.write(b"<a href='/x'>x</a>")
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.exceptions import DropItem
class Pipeline:
    def process_item(self, item, *spider):
        count("Pipeline.process_item")
        if item["page"] == 1: raise DropItem(SECRET)
        return item
class Shop(scrapy.Spider):
    name = "shop"
    custom_settings = {"ITEM_PIPELINES": {Pipeline: 1}, "LOG_ENABLED": False, "TELNETCONSOLE_ENABLED": False}
    async def start(self):
        for request in self.start_requests(): yield request
    def start_requests(self):
        for page in range(4):
            url = f"http://127.0.0.1:{server.server_port}/{page}?card={SECRET}"
            yield scrapy.Request(url, callback=self.parse_page, cb_kwargs={"page": page})
    def parse_page(self, response, page):
        count("Shop.parse_page")
        yield {"page": page, "card": SECRET}
process = CrawlerProcess()
crawler = process.create_crawler(Shop)
process.crawl(crawler)
process.start()
print(crawler.stats.get_value("item_scraped_count"), crawler.stats.get_value("item_dropped_count"))
""",
        {"scrapy response": 4},
        interrupted={"Pipeline.process_item": 1},
    ),
}


@pytest.mark.parametrize("pack", CASES)
def test_callbacks_of_a_framework_are_counted(both: Both, pack: str):
    """What they count themselves; transactions as the framework has them; control flow is no error; nothing leaks."""
    case = CASES[pack]
    require(*case.needs)
    found = both(COUNT + case.program + "\ntell()\n", pack, *case.packs, files=case.files, timeout_s=180)
    own = json.loads(found.stdout.splitlines()[-1])
    hooks = found.calls("hook")
    assert {name: hooks.get(name, 0) for name, calls in own.items() if calls} == {
        name: calls for name, calls in own.items() if calls
    }
    assert {name: found.transactions.get(name) for name in case.transactions} == case.transactions
    assert found.errors("hook") == case.errors
    interrupted = {
        row["name"]: row["interrupted"] for row in found.report["calls"] if row["kind"] == "hook" and row["interrupted"]
    }
    assert interrupted.items() >= case.interrupted.items()
    assert found.leaks(SECRET) == []
