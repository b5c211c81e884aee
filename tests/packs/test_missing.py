"""A library that lacks what a pack names: the rest of the pack works, and the report says which version was there."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from hookmon.testing import run

PACK = """
[pack]
library = "requests"
tested = ["1.0", "2.0"]
description = "a pack for another version"

[[watch]]
module = "requests.sessions"
calls = ["Session.send", "Session.sendd"]
span = "sent"
kind = "http"
"""


def test_what_is_missing_is_named_with_the_version(tmp_path: Path):
    """And what is there is counted."""
    pack = tmp_path / "other.toml"
    pack.write_text(PACK)
    program = """
    import requests
    try:
        requests.get("http://127.0.0.1:1/")
    except requests.ConnectionError:
        print("refused")
    """
    under = run(program, packs=[pack])
    assert (under.exit_code, under.stdout) == (0, "refused\n")
    assert under.calls() == {"sent": 1}
    state = under.watched["requests.sessions:Session.sendd"]
    assert state.startswith("not found: ")
    assert f"requests {metadata.version('requests')} is installed; the pack was tested with 1.0, 2.0" in state


def test_a_pack_that_finds_next_to_nothing_is_a_blind_spot(tmp_path: Path):
    """Its library was imported: an empty report would not say that it is not known. One that was not imported is none."""
    pack = tmp_path / "other.toml"
    pack.write_text(PACK.replace('"Session.send", "Session.sendd"', '"Session.sendd", "Session.sent", "Session.send"'))
    spot = (
        "pack incomplete: other: 2 of 3 targets were not found in what was imported, requests.sessions:Session.sendd among them"
    )
    assert run("import requests", packs=[pack]).blind_spots == [spot]
    assert run("import json", packs=[pack]).blind_spots == []
