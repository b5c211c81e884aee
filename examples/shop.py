"""A small shop: baskets over HTTP, prices in SQLite, customers as threads, and a nightly price run in a child process.

Standard library only. With REDIS_URL set, stock is counted in Redis instead of in memory (needs the `redis` package).

    hookmon run --config examples/hookmon.toml python examples/shop.py

It runs for two to three seconds, asks the same of itself every time, and has a few things in it that a report should show:
a basket fetches its prices one by one, one price takes much longer than it should, and now and then something is sold out.
"""

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PRODUCTS = 60
CUSTOMERS = 4
BASKETS = 10  # of each customer
LINES = 8  # of each basket
SCARCE = 7  # the product that runs out
SCARCE_STOCK = 4
NIGHTLY_CHANGES = 120


class SoldOutError(Exception):
    """The scarce product is gone."""


class Repo:
    """The shop's database, one connection for each thread that asks."""

    def __init__(self, path):
        self.path = path
        self.local = threading.local()

    def connection(self):
        """Return the calling thread's connection."""
        if not hasattr(self.local, "connection"):
            self.local.connection = sqlite3.connect(self.path, timeout=30)
        return self.local.connection

    def create(self):
        """Make the tables and fill them."""
        with self.connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE product (sku INTEGER PRIMARY KEY, cents INTEGER, demand INTEGER)")
            connection.execute("CREATE TABLE line (basket INTEGER, sku INTEGER, quantity INTEGER)")
            connection.execute("CREATE TABLE sale (basket INTEGER PRIMARY KEY, cents INTEGER)")
            connection.executemany(
                "INSERT INTO product VALUES (?, ?, ?)", [(sku, 100 + 37 * sku, sku % 5) for sku in range(PRODUCTS)]
            )
            connection.executemany(
                "INSERT INTO line VALUES (?, ?, ?)",
                [
                    (basket, (basket * 11 + line * 7) % PRODUCTS, 1 + line % 3)
                    for basket in range(CUSTOMERS * BASKETS)
                    for line in range(LINES)
                ],
            )

    def lines(self, basket):
        """Return the (sku, quantity) pairs of a basket."""
        query = "SELECT sku, quantity FROM line WHERE basket = ?"
        return self.connection().execute(query, (basket,)).fetchall()

    def product(self, sku):
        """Return (cents, demand) of a product."""
        return self.connection().execute("SELECT cents, demand FROM product WHERE sku = ?", (sku,)).fetchone()

    def sell(self, basket, cents):
        """Write down a sale."""
        with self.connection() as connection:
            connection.execute("INSERT INTO sale VALUES (?, ?)", (basket, cents))

    def sold(self):
        """Return the number of sales and their sum."""
        return self.connection().execute("SELECT count(*), sum(cents) FROM sale").fetchone()

    def reprice(self, sku, cents):
        """Set the price of a product."""
        with self.connection() as connection:
            connection.execute("UPDATE product SET cents = ? WHERE sku = ?", (cents, sku))

    def close(self):
        """Close the calling thread's connection."""
        if hasattr(self.local, "connection"):
            self.local.connection.close()
            del self.local.connection


class Stock:
    """How much of the scarce product is left, in this process."""

    def __init__(self):
        self.lock = threading.Lock()
        self.left = SCARCE_STOCK

    def take(self, skus):
        """Take a piece of each product. Raises SoldOutError when the scarce one is gone."""
        if SCARCE in skus and self.one_less() < 0:
            raise SoldOutError(f"product {SCARCE} is sold out")

    def one_less(self):
        """Take a piece of the scarce product and return how many are left."""
        with self.lock:
            self.left -= 1
            return self.left


class RedisStock(Stock):
    """How much of the scarce product is left, in Redis."""

    def __init__(self, url):
        super().__init__()
        import redis  # only who asks for Redis needs the package

        self.redis = redis.Redis.from_url(url)
        with self.redis.pipeline() as pipeline:
            for sku in range(PRODUCTS):
                pipeline.set(f"stock:{sku}", SCARCE_STOCK if sku == SCARCE else 1_000_000)
            pipeline.execute()

    def take(self, skus):
        """Look at each level, then take. Raises SoldOutError."""
        for sku in skus:
            self.redis.get(f"stock:{sku}")
        super().take(skus)

    def one_less(self):
        """Take a piece of the scarce product and return how many are left."""
        return self.redis.decr(f"stock:{SCARCE}")


def demand_factor(demand):
    """Return what popularity adds to a price. The most popular products go through a model that nobody dared to remove."""
    rounds = 150_000 if demand == 4 else 400
    level = 1.0
    for _ in range(rounds):
        level = 1.0 + demand / (10.0 * level + demand)
    return level


def quote(repo, sku, quantity):
    """Return the price of some pieces of one product in cents."""
    cents, demand = repo.product(sku)
    discount = 0.95 if quantity > 2 else 1.0
    return round(cents * quantity * discount * demand_factor(demand))


class Basket:
    """What one customer wants to buy."""

    def __init__(self, repo, number):
        self.repo = repo
        self.number = number

    def total(self):
        """Return the price of the whole basket in cents, one query for each line."""
        return sum(quote(self.repo, sku, quantity) for sku, quantity in self.repo.lines(self.number))

    def check_out(self, stock):
        """Take, price, pay and write down."""
        stock.take([sku for sku, _ in self.repo.lines(self.number)])
        cents = self.total()
        pay(cents)
        self.repo.sell(self.number, cents)
        return cents


def pay(cents):
    """Wait for the bank."""
    time.sleep(0.010 + cents % 7 / 1000)


class Handler(BaseHTTPRequestHandler):
    """GET /baskets/N is what basket N would cost, POST /baskets/N buys it."""

    def do_GET(self):
        """Answer with the price."""
        self.answer(200, {"cents": self.basket().total()})

    def do_POST(self):
        """Answer with the price that was paid, or 409 when something is sold out."""
        try:
            self.answer(200, {"cents": self.basket().check_out(self.server.stock)})
        except SoldOutError as error:
            self.answer(409, {"error": str(error)})

    def finish(self):
        """Give back the database connection: each connection of the server has a thread of its own."""
        super().finish()
        self.server.repo.close()

    def basket(self):
        """Return the basket that the path names."""
        return Basket(self.server.repo, int(self.path.rpartition("/")[2]))

    def answer(self, status, values):
        """Send JSON."""
        body = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Keep the terminal quiet."""


class Shop(ThreadingHTTPServer):
    """The shop's HTTP server on a free port of this machine."""

    def __init__(self, repo, stock):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repo = repo
        self.stock = stock


def customer(port, number, counts, lock):
    """Look at each basket, then buy it."""
    for basket in range(number * BASKETS, (number + 1) * BASKETS):
        for method in ("GET", "POST"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(method, f"/baskets/{basket}")
            response = connection.getresponse()
            response.read()
            connection.close()
            with lock:
                counts[method, response.status] = counts.get((method, response.status), 0) + 1


def new_price(repo, sku):
    """Return tomorrow's price: up with demand, never by more than a tenth."""
    cents, demand = repo.product(sku)
    time.sleep(0.008)  # the competitor's price list is slow
    return min(round(cents * demand_factor(demand % 4)), cents + cents // 10)


def nightly(path):
    """Set new prices: the work of the child process."""
    repo = Repo(path)
    for change in range(NIGHTLY_CHANGES):
        sku = change % PRODUCTS
        repo.reprice(sku, new_price(repo, sku))
    repo.close()
    print(f"nightly: {NIGHTLY_CHANGES} new prices", flush=True)


def open_shop(path):
    """Serve all customers, then run the nightly prices."""
    repo = Repo(path)
    repo.create()
    url = os.environ.get("REDIS_URL")
    shop = Shop(repo, RedisStock(url) if url else Stock())
    server = threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.05})
    server.start()

    counts = {}
    lock = threading.Lock()
    customers = [threading.Thread(target=customer, args=(shop.server_port, number, counts, lock)) for number in range(CUSTOMERS)]
    for thread in customers:
        thread.start()
    for thread in customers:
        thread.join()
    shop.shutdown()
    server.join()
    shop.server_close()

    sold, _ = repo.sold()
    repo.close()
    print(f"shop: {counts['GET', 200]} baskets looked at, {sold} bought, {counts.get(('POST', 409), 0)} sold out", flush=True)
    subprocess.run([sys.executable, __file__, "--nightly", path], check=True)


def main():
    """Run the shop, or the nightly prices when asked for."""
    if sys.argv[1:2] == ["--nightly"]:
        nightly(sys.argv[2])
        return
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        open_shop(str(Path(folder) / "shop.sqlite"))


if __name__ == "__main__":
    main()
