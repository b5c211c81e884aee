"""What is compared: one table. A peer runs under its own launcher, its exporting switched off as its documentation has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parent / "programs"
BASE = ("flask", "gunicorn", "fastapi", "uvicorn", "redis")
"""What the measured programs need; each virtual environment has it, in the versions of the first."""

NOWHERE = "127.0.0.1:9"
"""A port that nothing listens on."""

EVERYTHING = frozenset(("calls", "get", "start", "flask", "fastapi"))


@dataclass(frozen=True)
class Subject:
    """One column of the comparison."""

    name: str
    what: str
    packages: tuple[str, ...] = ()
    """Its own virtual environment holds these; without any it uses hookmon's."""
    launcher: tuple[str, ...] = ()
    """Stands before the interpreter; its first word is a program of the virtual environment."""
    before: tuple[str, ...] = ()
    """Stands between the interpreter and the program."""
    env: dict[str, str] = field(default_factory=dict)
    measures: frozenset[str] = EVERYTHING

    def command(self, scripts: Path, program: str, *arguments: object) -> list[str]:
        """Return the command that runs one of our programs in a virtual environment, given its folder of scripts."""
        launcher = [str(scripts / self.launcher[0]), *self.launcher[1:]] if self.launcher else []
        return [*launcher, str(scripts / "python"), *self.before, str(PROGRAMS / program), *map(str, arguments)]


_HOOKMON = ("hookmon", "run", "--quiet", "--config", str(PROGRAMS / "hookmon.toml"))

SUBJECTS = (
    Subject("bare", "the program alone"),
    Subject("hookmon", "the compiled engine", launcher=_HOOKMON, env={"HOOKMON_ENGINE": "compiled"}),
    Subject("hookmon pure", "the engine without C", launcher=_HOOKMON, env={"HOOKMON_ENGINE": "pure"}),
    Subject("wrapt", "an empty wrapt.decorator", measures=frozenset(("calls", "get"))),
    Subject("cProfile", "sees every call, of one thread", measures=frozenset(("calls", "get"))),
    Subject(
        "wrapture",
        "aggregates only; redis and our functions named by hand",
        packages=("wrapture",),
        before=("-m", "wrapture", "--config", str(PROGRAMS / "wrapture.toml")),
        env={"PYTHONWARNINGS": "ignore"},
    ),
    Subject(
        "ddtrace",
        "ddtrace-run, agent on a closed port",
        packages=("ddtrace",),
        launcher=("ddtrace-run",),
        env={
            "DD_TRACE_AGENT_URL": f"http://{NOWHERE}",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        },
    ),
    Subject(
        "opentelemetry",
        "opentelemetry-instrument, exporters none",
        packages=(
            "opentelemetry-distro",
            "opentelemetry-instrumentation-redis",
            "opentelemetry-instrumentation-flask",
            "opentelemetry-instrumentation-fastapi",
        ),
        launcher=("opentelemetry-instrument",),
        env={"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"},
    ),
    Subject(
        "newrelic",
        "newrelic-admin run-program, developer mode",
        packages=("newrelic",),
        launcher=("newrelic-admin", "run-program"),
        env={"NEW_RELIC_DEVELOPER_MODE": "true", "NEW_RELIC_LICENSE_KEY": "0" * 40, "NEW_RELIC_APP_NAME": "benchmarks"},
    ),
    Subject(
        "elastic-apm",
        "elasticapm-run, sending disabled",
        packages=("elastic-apm",),
        launcher=("elasticapm-run",),
        env={"ELASTIC_APM_DISABLE_SEND": "true", "ELASTIC_APM_SERVICE_NAME": "benchmarks"},
    ),
    Subject(
        "sentry",
        "init() before the program, every trace kept, server on a closed port",
        packages=("sentry-sdk",),
        before=(str(PROGRAMS / "start_sentry.py"),),
    ),
)
