#!/usr/bin/env bash
# A process that sets its title has, for everybody who looks from outside, another environment than it has.
#
# setproctitle 1.3.8 and psutil 7.2.2, CPython 3.11.7, Linux. Seen:
#   before: PURPOSE=billing in os.environ, PURPOSE=billing from outside
#   after a title: PURPOSE=billing in os.environ, nothing of PURPOSE from outside
#
# On Linux the title takes the whole block of the arguments and of the environment behind it, however short it is, and that block is
# what /proc/PID/environ shows. gunicorn and Celery set titles in each worker where setproctitle is installed. Who asks psutil for a
# process's environment, to tell services or tenants apart, is told that a variable is not set though the process and its children
# have it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check setproctitle==1.3.8 psutil==7.2.2

cat >"$work/worker.py" <<'PY'
import os
import sys

import setproctitle

for title in ("", "w"):
    if title:
        setproctitle.setproctitle(title)
    print(os.environ["PURPOSE"], flush=True)
    sys.stdin.readline()
PY
cat >"$work/look.py" <<'PY'
import os
import subprocess
import sys

import psutil

pipe = subprocess.PIPE
environment = {"PATH": os.defpath, "PURPOSE": "billing"}
worker = subprocess.Popen([sys.executable, sys.argv[1]], stdin=pipe, stdout=pipe, text=True, env=environment)
for moment in ("before", "after a title"):
    inside = worker.stdout.readline().strip()
    seen = psutil.Process(worker.pid).environ().get("PURPOSE")
    outside = f"PURPOSE={seen}" if seen else "nothing of PURPOSE"
    print(f"{moment}: PURPOSE={inside} in os.environ, {outside} from outside")
    worker.stdin.write("\n")
    worker.stdin.flush()
worker.wait()
PY
"$work/venv/bin/python" "$work/look.py" "$work/worker.py" | tee "$work/output"

grep -qx 'before: PURPOSE=billing in os.environ, PURPOSE=billing from outside' "$work/output"
grep -qx 'after a title: PURPOSE=billing in os.environ, nothing of PURPOSE from outside' "$work/output"
