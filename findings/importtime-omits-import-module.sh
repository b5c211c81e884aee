#!/usr/bin/env bash
# python -X importtime has no line for what importlib.import_module imports: its time is the importing module's own.
#
# CPython 3.11.7, 3.12.1 and 3.13.0. Seen:
#   import slow: plugin 0.0 s of its own, slow 0.3 s
#   importlib.import_module("slow"): plugin 0.3 s of its own, slow no line
#
# The clock is in import_find_and_load (import.c), around the call of importlib's `_find_and_load`. import_module calls that in Python,
# so nothing is timed but the import statements inside. Applications that load plugins, settings, apps or drivers by name (Django,
# SQLAlchemy's dialects, entry points) look as if the loader itself were slow, and what is slow is not in the list.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo 'import time; time.sleep(0.3)' >slow.py
cat >show.py <<'PY'
import re
import sys

rows = {}
for line in sys.stdin:
    found = re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", line)
    if found:
        rows[found[2]] = f"{int(found[1]) / 1e6:.1f} s"
print(f"{sys.argv[1]}: plugin {rows['plugin']} of its own, slow {rows.get('slow', 'no line')}")
PY
for way in 'import slow' 'importlib.import_module("slow")'; do
    printf 'import importlib\n%s\n' "$way" >plugin.py
    rm -rf __pycache__
    python3 -X importtime -c 'import plugin' 2>&1 | python3 show.py "$way"
done | tee output

grep -qx 'import slow: plugin 0.0 s of its own, slow 0.3 s' output
grep -qx 'importlib.import_module("slow"): plugin 0.3 s of its own, slow no line' output
