#!/usr/bin/env bash
# psutil's Process remembers the first exe() that it was asked for: after an exec it names the program that was, its cmdline() the new one.
#
# psutil 7.2.2, CPython 3.11.7, Linux. One process: a shell that becomes sleep with exec. Seen:
#   before the exec: exe is the shell, cmdline begins with sh
#   after it: exe is the shell, cmdline begins with sleep
#   after it, asked anew: exe is sleep, cmdline begins with sleep
#   the two are equal: True
#
# name() and cmdline() are read each time, exe() is kept for the life of the object, and process_iter() keeps the objects. Who
# watches processes from their fork on (supervisors, agents, dashboards) shows the shell or the launcher as the program of each
# service that was started through `exec`. A new Process object answers rightly and still counts as the same process.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check psutil==7.2.2

cat >"$work/look.py" <<'PY'
import os
import shutil
import subprocess
import time

import psutil

shell, sleep = (os.path.realpath(shutil.which(name)) for name in ("sh", "sleep"))
names = {shell: "the shell", sleep: "sleep"}
pipe = subprocess.PIPE
child = subprocess.Popen(["sh", "-c", "echo ready; read line; exec sleep 60"], stdin=pipe, stdout=pipe)


def show(when, process):
    print(f"{when}: exe is {names.get(process.exe(), 'another')}, cmdline begins with {process.cmdline()[0]}")


try:
    child.stdout.readline()
    process = psutil.Process(child.pid)
    show("before the exec", process)
    child.stdin.write(b"\n")
    child.stdin.flush()
    end = time.monotonic() + 60
    while process.cmdline()[:1] != ["sleep"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    show("after it", process)
    again = psutil.Process(child.pid)
    show("after it, asked anew", again)
    print(f"the two are equal: {process == again}")
finally:
    child.kill()
    child.wait()
PY
"$work/venv/bin/python" "$work/look.py" | tee "$work/output"

grep -qx 'before the exec: exe is the shell, cmdline begins with sh' "$work/output"
grep -qx 'after it: exe is the shell, cmdline begins with sleep' "$work/output"
grep -qx 'after it, asked anew: exe is sleep, cmdline begins with sleep' "$work/output"
grep -qx 'the two are equal: True' "$work/output"
