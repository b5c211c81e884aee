"""The example of a container: its files are what engines expect, and what they say runs, in namespaces instead of an engine.

What the Dockerfile says of user, environment, entry point and command, and the manifest of volumes and of the exporter beside,
is read out of them and done.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.backends import free_port
from support.containers import ROOT, Container, init_of
from support.runs import Started, wait_until

FOLDER = ROOT / "examples" / "container"
REQUESTS = 60


def load_all(name: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML file of the example."""
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def last_stage() -> dict[str, list[str]]:
    """Return {instruction: values} of the image that is run."""
    parser = pytest.importorskip("dockerfile_parse").DockerfileParser
    found: dict[str, list[str]] = {}
    with (FOLDER / "Dockerfile").open("rb") as file:
        steps = parser(fileobj=file).structure
    for step in steps:
        if step["instruction"] == "FROM":
            found = {}
        found.setdefault(step["instruction"], []).append(step["value"])
    return found


@pytest.mark.files
@pytest.mark.parametrize("version", ["1.28", "1.37"])
def test_the_manifest_is_one_of_kubernetes(version: str) -> None:
    """By the published schemas of an old and a new release, without a field that they do not know."""
    validate = pytest.importorskip("kubernetes_validate").validate
    documents = load_all("kubernetes.yaml")
    assert [document["kind"] for document in documents] == ["Deployment", "Service"]
    for document in documents:
        validate(document, version, strict=True)


@pytest.mark.files
def test_the_compose_file_is_one() -> None:
    """By a parser of the Compose specification, with its merge keys resolved."""
    compose = pytest.importorskip("compose_spec").PyCompose
    (document,) = load_all("compose.yaml")
    parsed = compose.from_json(json.dumps(document)).to_dict()
    assert set(parsed["services"]) == {"quotes", "metrics"}


@pytest.mark.files
def test_all_files_agree() -> None:
    """Compose and Kubernetes mount what the image's variables name, in both containers, read-only but for that, as one user."""
    image = last_stage()
    variables = dict(word.split("=") for value in image["ENV"] for word in value.split())
    volumes = {"/tmp", *variables.values()}
    (compose,) = load_all("compose.yaml")
    for service in compose["services"].values():
        mounted = {volume.partition(":")[2] for volume in service["volumes"]} | {
            path.partition(":")[0] for path in service["tmpfs"]
        }
        assert (mounted, service["read_only"], service["user"]) == (volumes, True, image["USER"][0])
    pod = load_all("kubernetes.yaml")[0]["spec"]["template"]["spec"]
    who = pod["securityContext"]
    assert f"{who['runAsUser']}:{who['runAsGroup']}" == image["USER"][0]
    for container in pod["containers"]:
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == volumes
        assert container["securityContext"]["readOnlyRootFilesystem"]
    grace = {int(compose["services"]["quotes"]["stop_grace_period"].rstrip("s")), pod["terminationGracePeriodSeconds"]}
    assert min(grace) > 30  # what gunicorn takes at most
    for path in Path(FOLDER).glob("Dockerfile*"):
        assert all((ROOT / word).exists() for word in _copied(path)), path


def _copied(path: Path) -> list[str]:
    """Return the paths that a Dockerfile copies from the clone, or that its ignore file lets in."""
    lines = path.read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]]
    return copied + [line.removeprefix("!") for line in lines if line.startswith("!")]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, as an emptyDir of the medium Memory is one."""
    folder = Path(tempfile.mkdtemp(prefix="volume-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


class Pod:
    """The pod of the manifest: a container for each of its two, with its volumes."""

    def __init__(self, folder: Path, memory: Path) -> None:
        self.image = last_stage()
        pod = load_all("kubernetes.yaml")[0]["spec"]["template"]["spec"]
        self.service, self.beside = pod["containers"]
        user, _, group = self.image["USER"][0].partition(":")
        kinds = {volume["name"]: volume["emptyDir"] for volume in pod["volumes"]}
        volumes, memories = {}, {}
        for mount in self.service["volumeMounts"]:
            name = mount["name"]
            if name == "tmp":
                memories[mount["mountPath"]] = kinds[name]["sizeLimit"].replace("Mi", "m")
                continue
            volumes[mount["mountPath"]] = above = (memory if kinds[name].get("medium") == "Memory" else folder) / name
            above.mkdir()
            os.chown(above, 0, pod["securityContext"]["fsGroup"])
            above.chmod(0o2777)  # as the kubelet makes an emptyDir for an fsGroup
        variables = dict(word.split("=") for value in self.image["ENV"] for word in value.split())
        shutil.copytree(FOLDER, folder / "app", ignore=shutil.ignore_patterns("*.yaml", "Dockerfile*", "__pycache__", ".hookmon"))
        self.containers = [
            Container(folder, int(user), int(group), volumes, memories, variables, cwd=self.image["WORKDIR"][0]) for _ in range(2)
        ]
        self.port, self.metrics_port = free_port(), free_port()

    def start_service(self) -> Started:
        """Start the service by its entry point and command, and wait until it is ready."""
        command = [*json.loads(self.image["ENTRYPOINT"][0]), *json.loads(self.image["CMD"][0])]
        assert "0.0.0.0:8000" in command
        started = self.containers[0].start([word.replace("0.0.0.0:8000", f"127.0.0.1:{self.port}") for word in command])
        wait_until(lambda: fetch(self.port, "/healthz") == "ok\n", "the service")
        return started

    def start_beside(self) -> Started:
        """Start the exporter beside it, and wait until it answers."""
        command = [word.replace("0.0.0.0:9464", f"127.0.0.1:{self.metrics_port}") for word in self.beside["command"]]
        assert command != self.beside["command"]
        started = self.containers[1].start(command)
        wait_until(lambda: "target_info" in fetch(self.metrics_port, "/metrics"), "the exporter")
        return started

    def quotes_exported(self) -> float:
        """Return how many quotes the exporter says were asked for, in all runs that it shows."""
        lines = fetch(self.metrics_port, "/metrics").splitlines()
        return sum(float(line.split()[-1]) for line in lines if "call_count_total{" in line and 'name="quote"' in line)


def fetch(port: int, path: str) -> str:
    """Return what a server says, "" where there is none yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            text: str = answer.read().decode()
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError:
        return ""
    return text


def test_the_example_runs_is_measured_from_beside_and_stopped(tmp_path: Path, memory: Path) -> None:
    """Each request is counted, live and at the end; SIGTERM ends both with 0; a second start belongs to the same service."""
    pytest.importorskip("gunicorn")
    pytest.importorskip("prometheus_client")
    pod = Pod(tmp_path, memory)
    try:
        beside = None
        for start in (1, 2):
            service = pod.start_service()
            beside = beside or pod.start_beside()
            for number in range(REQUESTS):
                assert fetch(pod.port, f"/quotes/{number:03}") == "103\n"
            assert fetch(pod.port, "/nothing") == "404"
            wait_until(lambda start=start: pod.quotes_exported() >= REQUESTS * start, "the exporter's next state", 90)
            assert pod.quotes_exported() == REQUESTS * start
            os.kill(init_of(service), signal.SIGTERM)
            done = service.finish()
            assert done.exit_code == 0, done.stderr
            assert "Requests" in done.stderr  # the report, in the container's log
            report = json.loads(pod.containers[1].hookmon("report", "--format", "json").stdout)
            assert sum(row["calls"] for row in report["calls"] if row["name"] == "quote") == REQUESTS
            assert (report["run"]["state"], report["run"]["exit_code"], report["blind_spots"]) == ("finished", 0, [])
        os.kill(init_of(beside), signal.SIGTERM)
        assert beside.finish().exit_code == 0
        both = json.loads(pod.containers[1].hookmon("report", "quotes", "--last", "10m", "--format", "json").stdout)
        assert sum(row["calls"] for row in both["calls"] if row["name"] == "quote") == 2 * REQUESTS
        others = 2  # the one page that is not there, and the first answer of the health check
        assert sum(row["calls"] for row in both["transactions"]) == 2 * (REQUESTS + others)
    finally:
        for container in pod.containers:
            container.end()
    assert [path.name for path in (memory / "runs").iterdir()] == []
