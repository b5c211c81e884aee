#!/usr/bin/env bash
# Under freezegun's auto_tick_seconds the program's date moves on when any library looks at the monotonic clock.
#
# freezegun 1.5.5, CPython 3.11.7. Seen:
#   two looks of the program's own: 0:00:15
#   and ten calls of a library that measures itself: 0:05:15
#
# freeze_time puts its own functions in the place of those of `time` in every module that is loaded, however private the name there,
# and with auto_tick_seconds each look by any of them, monotonic ones too, moves the one frozen clock on. So a test that asserts how
# far its date has moved depends on whether some library times its own calls, as clients, pools and agents do.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check freezegun==1.5.5

cat >"$work/library.py" <<'PY'
from time import monotonic_ns as _clock


def work():
    began = _clock()
    return _clock() - began
PY
cat >"$work/app.py" <<'PY'
from datetime import datetime

import library
from freezegun import freeze_time

for calls, what in ((0, "two looks of the program's own"), (10, "and ten calls of a library that measures itself")):
    with freeze_time("2020-01-01", auto_tick_seconds=15):
        began = datetime.now()
        for _ in range(calls):
            library.work()
        print(f"{what}: {datetime.now() - began}")
PY
cd "$work" && venv/bin/python app.py | tee output

grep -qx "two looks of the program's own: 0:00:15" output
grep -qx 'and ten calls of a library that measures itself: 0:05:15' output
