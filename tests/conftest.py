"""Fixtures of all tests: servers for the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.servers import Postgres, Valkey


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
