"""Fixtures of all tests: servers for the session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.servers import Postgres, Valkey


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nobody asks
def pytest_xdist_auto_num_workers() -> int:
    """Return how many tests run at once for `-n auto`: two for each processor, as a third of a test's time is waiting."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session")
def _valkey_server() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.stop()


@pytest.fixture
def valkey(_valkey_server: Valkey) -> Valkey:
    """A Valkey server that is empty and has counted nothing yet."""
    _valkey_server.reset()
    return _valkey_server


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture
def postgres(_postgres_server: Postgres) -> Postgres:
    """A PostgreSQL server that has counted nothing yet."""
    _postgres_server.reset()
    return _postgres_server
