"""`hookmon open`, on real run files, with a browser that writes down what it was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hookmon.collector.store import Node, Run, Store

pytestmark = pytest.mark.process

HOOKMON = [sys.executable, "-m", "hookmon"]
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "SSH_CONNECTION")


def hookmon(project: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in DISPLAYS}
    return subprocess.run(
        [*HOOKMON, *arguments], cwd=project, env=environment | more, capture_output=True, text=True, timeout=60, encoding="utf-8"
    )


def save(project: Path, name: str) -> Path:
    """Keep a run with one call that carries its name."""
    run_file = Store.of_project(project).reserve()
    number = int(run_file.path.stem.removeprefix("run-"))
    node = Node(-1, f"call of {name}", "function", "app:f", calls=1, total_ns=5, self_ns=5, min_ns=5, max_ns=5, buckets={38: 1})
    run_file.save(
        Run(number, name, ["python", "app.py"], f"2025-03-04T05:06:07+00:00 {name}", "0.1.0", state="finished", nodes=[node])
    )
    return run_file.path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "hookmon.toml").touch()
    save(folder, "first")
    save(folder, "second")
    return folder


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """A browser: a program that writes its argument into the file of its name with `.asked` added."""
    path = tmp_path / "browser"
    path.write_text(f'#!{sys.executable}\nimport sys\nopen(__file__ + ".asked", "w").write(sys.argv[1])\n', "utf-8")
    path.chmod(0o700)
    return path


def opened_url(browser: Path) -> str | None:
    path = browser.with_name("browser.asked")
    return path.read_text("utf-8") if path.exists() else None


def test_the_page_lies_beside_the_run_for_its_owner_only(project: Path):
    """Its path is all that is printed."""
    done = hookmon(project, "open")
    page = project / ".hookmon" / "run-0002.html"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{page}\n", "")
    assert page.stat().st_mode & 0o777 == 0o600
    assert "call of second" in page.read_text("ascii")
    assert sorted(path.name for path in page.parent.glob("*.html")) == ["run-0002.html"]


def test_the_browser_gets_the_page(project: Path, browser: Path):
    """As a file URL, so that it opens without a server."""
    done = hookmon(project, "open", "first", BROWSER=str(browser))
    assert done.returncode == 0
    assert opened_url(browser) == (project / ".hookmon" / "run-0001.html").as_uri()


def test_no_browser_is_started_when_none_is_wanted(project: Path, browser: Path):
    """The page is written all the same."""
    done = hookmon(project, "open", "--no-browser", BROWSER=str(browser))
    assert Path(done.stdout.strip()).exists()
    assert opened_url(browser) is None


def test_the_path_is_told_as_json(project: Path):
    """With the number of the run."""
    done = hookmon(project, "open", "1", "--json")
    assert json.loads(done.stdout) == {"run": 1, "path": str(project / ".hookmon" / "run-0001.html")}


def test_a_page_goes_with_its_run(project: Path):
    """What is removed is removed for good."""
    page = Path(hookmon(project, "open", "1").stdout.strip())
    assert page.exists()
    assert hookmon(project, "runs", "remove", "1").returncode == 0
    assert not page.exists()


def test_a_page_goes_with_a_run_that_makes_room(project: Path):
    """The store keeps twenty."""
    page = Path(hookmon(project, "open", "1").stdout.strip())
    for number in range(3, 22):
        save(project, f"run {number}")
    assert not page.exists()


def test_a_run_file_from_elsewhere_leaves_the_own_pages_alone(project: Path, tmp_path: Path):
    """Its number is that of a run here, but it is another run."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "hookmon.toml").touch()
    path = save(other, "foreign")
    done = hookmon(project, "open", str(path), TMPDIR=str(tmp_path))
    page = Path(done.stdout.strip())
    assert page.parent == tmp_path
    assert page.stat().st_mode & 0o777 == 0o600
    assert "call of foreign" in page.read_text("ascii")
    assert list((project / ".hookmon").glob("*.html")) == []


def test_a_diff_opens_as_a_page(project: Path, browser: Path):
    """It lies beside the runs for its owner only, and goes with either of them."""
    done = hookmon(project, "diff", "1", "2", "--open", BROWSER=str(browser))
    page = project / ".hookmon" / "diff-0001-0002.html"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{page}\n", "")
    assert opened_url(browser) == page.as_uri()
    assert page.stat().st_mode & 0o777 == 0o600
    assert "call of second" in page.read_text("ascii")
    hookmon(project, "runs", "remove", "1")
    assert not page.exists()


def test_a_diff_opens_where_it_is_wanted(project: Path, browser: Path, tmp_path: Path):
    """The file of --output is the page, and stdout stays empty."""
    path = tmp_path / "page.html"
    done = hookmon(project, "diff", "1", "2", "--open", "-o", str(path), BROWSER=str(browser))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert opened_url(browser) == path.as_uri()
    assert "call of second" in path.read_text("ascii")


def test_only_a_page_is_opened(project: Path):
    """Another format with --open is a mistake."""
    assert hookmon(project, "diff", "1", "2", "--open", "--json").returncode == 2
    assert hookmon(project, "diff", "1", "2", "--open", "--format", "markdown").returncode == 2


def test_a_diff_with_a_run_from_elsewhere_lies_elsewhere(project: Path, tmp_path: Path):
    """No run here would take it along."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "hookmon.toml").touch()
    page = Path(hookmon(project, "diff", "1", str(save(other, "foreign")), "--open", TMPDIR=str(tmp_path)).stdout.strip())
    assert page.parent == tmp_path
    assert list((project / ".hookmon").glob("*.html")) == []


def test_no_run_is_an_error(tmp_path: Path):
    """With the word that explains it, and no page."""
    (tmp_path / "hookmon.toml").touch()
    done = hookmon(tmp_path, "open")
    assert done.returncode == 2
    assert done.stderr.endswith("[no-such-run]\n")


def test_a_run_keeps_who_decided_its_configuration(tmp_path: Path):
    """The file with the line, and options; what nobody set is a default."""
    (tmp_path / "hookmon.toml").write_text('# ours\nredact = "all"\n[packs]\ndisable = ["jinja2"]\n', "utf-8")
    done = hookmon(tmp_path, "run", "--no-pack", "sqlite3", "--", sys.executable, "-c", "pass")
    assert done.returncode == 0
    run = Store.of_project(tmp_path).run_file(1).load()
    found = {(row["table"], row["key"]): (row["value"], row["origin"]) for row in run.settings}
    assert found["", "redact"] == ("all", "hookmon.toml:2")
    assert found["", "max_overhead"][1] == "default"
    assert found["packs", "jinja2"] == (False, "hookmon.toml:4")
    assert found["packs", "sqlite3"] == (False, "--no-pack sqlite3")
    assert run.config == str(tmp_path / "hookmon.toml")
