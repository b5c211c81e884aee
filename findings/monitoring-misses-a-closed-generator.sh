#!/usr/bin/env bash
# sys.monitoring in CPython 3.13.0 tells nothing of the end of a generator that is closed, or dropped, while it is suspended.
#
# Needs python3.12, python3.13 (3.13.0) on PATH, or interpreters as arguments. Seen:
#   3.12.1 closed: start yield throw unwind
#   3.12.1 with a try around the yield: start yield throw unwind
#   3.13.0 closed: start yield
#   3.13.0 with a try around the yield: start yield throw unwind
#
# 3.13 closes a generator without running its frame where nothing in it could notice, which saves time; a tool that pairs
# PY_START with PY_RETURN or PY_UNWIND then has a frame that never ends. 3.14 tells of it again.
set -euo pipefail

older=$(command -v "${1:-python3.12}")
newer=$(command -v "${2:-python3.13}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >tell.py <<'PY'
import sys


def bare():
    yield 1


def guarded():
    try:
        yield 1
    finally:
        pass


monitoring = sys.monitoring
events = monitoring.events
seen = []
codes = (bare.__code__, guarded.__code__)
monitoring.use_tool_id(4, "finding")
for name in ("START", "YIELD", "RESUME", "RETURN", "THROW", "UNWIND"):

    def tell(code, *_rest, name=name.lower()):
        if code in codes:
            seen.append(name)

    monitoring.register_callback(4, getattr(events, f"PY_{name}"), tell)
monitoring.set_events(4, events.PY_THROW | events.PY_UNWIND)
for code in codes:
    monitoring.set_local_events(4, code, events.PY_START | events.PY_YIELD | events.PY_RESUME | events.PY_RETURN)
for function, title in ((bare, "closed"), (guarded, "with a try around the yield")):
    seen.clear()
    made = function()
    next(made)
    made.close()
    print(f"{sys.version.split()[0]} {title}: {' '.join(seen)}")
PY
{ "$older" tell.py; "$newer" tell.py; } | tee output

grep -qx '3.12.1 closed: start yield throw unwind' output
grep -qx '3.12.1 with a try around the yield: start yield throw unwind' output
grep -qx '3.13.0 closed: start yield' output
grep -qx '3.13.0 with a try around the yield: start yield throw unwind' output
