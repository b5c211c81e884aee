#!/usr/bin/env bash
# typeguard's @typechecked checks nothing on a function that has `__wrapped__`, and the program never hears of it.
#
# typeguard 4.6.1, CPython 3.11.7 and 3.13.0. Seen:
#   plain: TypeCheckError
#   with __wrapped__: returned 'x'; InstrumentationWarning
#
# Any decorator that uses functools.wraps sets `__wrapped__`. typeguard reads the source of the function that it is given, finds
# that it is a wrapper, and gives the function back as it is, with a warning when the decorator runs. Under `-W ignore` and in
# services that log no warnings nothing tells that no type is checked. An agent that puts wrappers in the place of functions
# must therefore not show a `__wrapped__` where the function has none.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check typeguard==4.6.1

cat >"$work/app.py" <<'PY'
import functools
import warnings

from typeguard import TypeCheckError, typechecked


def double(n: int) -> int:
    return n


@functools.wraps(double)
def wrapper(n: int) -> int:
    return double(n)


try:
    typechecked(double)("x")
    print("plain: returned")
except TypeCheckError as error:
    print(f"plain: {type(error).__name__}")

with warnings.catch_warnings(record=True) as raised:
    warnings.simplefilter("always")
    checked = typechecked(wrapper)
print(f"with __wrapped__: returned {checked('x')!r}; {raised[0].category.__name__ if raised else 'no warning'}")
PY
"$work/venv/bin/python" "$work/app.py" | tee "$work/output"

grep -qx 'plain: TypeCheckError' "$work/output"
grep -qx "with __wrapped__: returned 'x'; InstrumentationWarning" "$work/output"
