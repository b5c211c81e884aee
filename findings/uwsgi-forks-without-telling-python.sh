#!/usr/bin/env bash
# A worker of uWSGI is a fork of which Python is told nothing: no handler of os.register_at_fork runs in it.
#
# uWSGI 2.0.31, CPython 3.11.7, Linux. Two workers, the application loaded before the fork, as is uWSGI's default. Seen:
#   another process than the one that loaded the application: True
#   handlers of os.register_at_fork that ran in the worker: 0
#   handlers that ran in a child of the worker's own os.fork: 1
#
# gunicorn and multiprocessing fork with os.fork, which runs them. Whoever relies on them has the parent's state in each worker:
# connections and locks that SQLAlchemy, logging and threading renew in a child, telemetry that starts its exporter anew there.
# uWSGI has its own decorator (uwsgidecorators.postfork) for what wants to know. `--lazy-apps` loads the application in each worker.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uWSGI==2.0.31

cat >"$work/app.py" <<'PY'
import os

loaded_in = os.getpid()
told = []
os.register_at_fork(after_in_child=lambda: told.append(os.getpid()))


def application(environ, start_response):
    is_fork, in_worker = os.getpid() != loaded_in, len(told)
    pid = os.fork()
    if pid == 0:
        os._exit(len(told) - in_worker)
    in_child = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    start_response("200 OK", [("Content-Type", "text/plain")])
    lines = [
        f"another process than the one that loaded the application: {is_fork}",
        f"handlers of os.register_at_fork that ran in the worker: {in_worker}",
        f"handlers that ran in a child of the worker's own os.fork: {in_child}",
    ]
    return ["\n".join(lines).encode()]
PY
cat >"$work/ask.py" <<'PY'
import subprocess
import sys
import time
import urllib.request

uwsgi, folder = sys.argv[1:]
address = f"{folder}/address"
server = subprocess.Popen(
    [uwsgi, "--http-socket", "127.0.0.1:0", "--wsgi-file", f"{folder}/app.py", "--workers", "2", "--master", "--die-on-term"],
    stderr=open(address, "wb"),
)
try:
    end = time.monotonic() + 60
    while "bound to TCP address " not in open(address).read() or "spawned uWSGI worker 2" not in open(address).read():
        assert time.monotonic() < end and server.poll() is None, open(address).read()
        time.sleep(0.05)
    port = open(address).read().partition("bound to TCP address ")[2].partition(":")[2].split()[0]
    print(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read().decode())
finally:
    server.terminate()
    server.wait()
PY
"$work/venv/bin/python" "$work/ask.py" "$work/venv/bin/uwsgi" "$work" | tee "$work/output"

grep -qx 'another process than the one that loaded the application: True' "$work/output"
grep -qx 'handlers of os.register_at_fork that ran in the worker: 0' "$work/output"
grep -qx "handlers that ran in a child of the worker's own os.fork: 1" "$work/output"
