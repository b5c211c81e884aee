"""A well-known library without a pack: the report has the line that counts its calls."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from support.runs import PYTHON, blind_spots, calls, hookmon_run, write

from hookmon.core.known_libraries import KNOWN_LIBRARIES, not_watched

pytestmark = pytest.mark.usefixtures("warm_launcher")

SEARCH = "meilisearch._httprequests"
STAND_IN = {
    "meilisearch/__init__.py": "",
    "meilisearch/_httprequests.py": "class HttpRequests:\n    def send_request(self, path): return path\n",
    "main.py": "from meilisearch._httprequests import HttpRequests as Http\nfor _ in range(3): print(Http().send_request(1))\n",
}


@pytest.mark.process
def test_a_library_without_a_pack_is_named_with_what_would_watch_it(tmp_path: Path):
    """And what the line says does watch it: then it is not said any more."""
    if SEARCH not in not_watched(_watched_by_packs()):
        pytest.skip("there is a pack for it")
    write(tmp_path, STAND_IN)
    bare = hookmon_run([PYTHON, "main.py"], cwd=tmp_path)
    (said,) = (line for line in blind_spots(bare.report) if line.startswith("no pack: "))
    assert said.startswith(f"no pack: {SEARCH} is imported, and no pack watches it: hookmon run --watch ")
    target = said.split('"')[1]
    watched = hookmon_run([PYTHON, "main.py"], cwd=tmp_path, options=["--watch", target])
    assert watched.seen == bare.seen
    assert calls(watched.report, target) == 3
    assert not [line for line in blind_spots(watched.report) if line.startswith("no pack: ")]


def test_what_a_pack_or_the_user_watches_is_not_told():
    """Whichever module of the package it is."""
    assert SEARCH in not_watched({"redis.client", "meilisearching.client"})
    assert SEARCH not in not_watched({"meilisearch.client"})
    assert SEARCH not in not_watched({"meilisearch.**"})


@pytest.mark.files
@pytest.mark.parametrize("module", KNOWN_LIBRARIES)
def test_what_would_watch_a_known_library_is_there(module: str):
    """In the release that is installed, where one is."""
    pytest.importorskip(module.partition(".")[0])
    where, _, names = KNOWN_LIBRARIES[module].partition(":")
    importlib.import_module(module)
    for name in names.split(","):
        owner = importlib.import_module(where)
        for part in name.removesuffix(".*").split("."):
            owner = getattr(owner, part)
        assert callable(owner)


def _watched_by_packs() -> set[str]:
    from hookmon.config.packs import read_packs

    return {watch.module for pack in read_packs([]) for watch in pack.content.watches}
