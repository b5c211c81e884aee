from __future__ import annotations

import importlib.util

import pytest
from support.fresh import fresh, prelude

__all__ = ["fresh", "prelude"]

HAS_COMPILED = importlib.util.find_spec("hookmon.probe._engine") is not None


@pytest.fixture(params=["pure", "compiled"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    if request.param == "compiled" and not HAS_COMPILED:
        pytest.skip("the compiled engine was not built")
    return request.param


@pytest.fixture
def on(fresh, engine):
    """Run code in a fresh interpreter on this engine."""

    def run(code: str, **options):
        options["env"] = {"HOOKMON_ENGINE": engine, **options.get("env", {})}
        recorded = fresh(code, **options)
        assert {shard.engine for shard in recorded.shards} <= {engine}
        return recorded

    return run
