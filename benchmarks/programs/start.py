"""Tells when its first line ran, and how long a child `python -c pass` takes: `start.py RESULT_FILE`."""

import time

began_ns = time.monotonic_ns()

import json  # noqa: E402 - the first line comes first
import subprocess  # noqa: E402
import sys  # noqa: E402

child_ns = []
for _ in range(3):
    started_ns = time.monotonic_ns()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    child_ns.append(time.monotonic_ns() - started_ns)
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump({"began_ns": began_ns, "child_ns": min(child_ns)}, file)
