#!/usr/bin/env bash
# Python started with -X disable_remote_debug, as its manual spelt it, lets any debugger in: only -X disable-remote-debug is read.
#
# CPython 3.14.8 and 3.15.0, Linux. Needs python3.14 on PATH, or an interpreter as first argument. Seen:
#   nothing: the script ran
#   -X disable_remote_debug: the script ran
#   -X disable-remote-debug: RuntimeError: Remote debugging is not enabled in the remote process
#   PYTHON_DISABLE_REMOTE_DEBUG=0: RuntimeError: Remote debugging is not enabled in the remote process
#   PYTHON_DISABLE_REMOTE_DEBUG=1 with -E: the script ran
#
# The manual (using/cmdline) had the option with underscores, as all other -X options are written; the interpreter and its own
# --help-xoptions have hyphens, and an -X option that it does not know is no error. So who hardened a service by the manual has not:
# n8n starts its runners so. The variable switches it off by any value, "0" and "" included, and not at all under -E or -I.
set -euo pipefail

python=$(command -v "${1:-python3.14}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >target.py <<'PY'
import time

print("ready", flush=True)
for _ in range(6_000):
    time.sleep(0.01)
PY
cat >look.py <<'PY'
import os
import subprocess
import sys
import time


def look(what, *options, **variables):
    with open("script.py", "w") as file:
        file.write("open('ran', 'w').close()\n")
    target = subprocess.Popen([sys.executable, *options, "target.py"], stdout=subprocess.PIPE, env={**os.environ, **variables})
    try:
        target.stdout.readline()
        sys.remote_exec(target.pid, "script.py")
        end = time.monotonic() + 50
        while not os.path.exists("ran") and time.monotonic() < end:
            time.sleep(0.01)
        print(f"{what}: {'the script' if os.path.exists('ran') else 'nothing'} ran")
    except RuntimeError as error:
        print(f"{what}: RuntimeError: {error}")
    finally:
        target.kill()
        target.wait()
        if os.path.exists("ran"):
            os.unlink("ran")


look("nothing")
look("-X disable_remote_debug", "-X", "disable_remote_debug")
look("-X disable-remote-debug", "-X", "disable-remote-debug")
look("PYTHON_DISABLE_REMOTE_DEBUG=0", PYTHON_DISABLE_REMOTE_DEBUG="0")
look("PYTHON_DISABLE_REMOTE_DEBUG=1 with -E", "-E", PYTHON_DISABLE_REMOTE_DEBUG="1")
PY
"$python" look.py | tee output

refusal='RuntimeError: Remote debugging is not enabled in the remote process'
grep -qx 'nothing: the script ran' output
grep -qx -- '-X disable_remote_debug: the script ran' output
grep -qx -- "-X disable-remote-debug: $refusal" output
grep -qx "PYTHON_DISABLE_REMOTE_DEBUG=0: $refusal" output
grep -qx 'PYTHON_DISABLE_REMOTE_DEBUG=1 with -E: the script ran' output
