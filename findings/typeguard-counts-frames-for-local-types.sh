#!/usr/bin/env bash
# typeguard's @typechecked checks nothing against a local class where anything stands between it and the function's own frame.
#
# typeguard 4.6.1, CPython 3.11.7, 3.13.0 and 3.15.2. Seen:
#   directly: TypeCheckError
#   by a helper: returned; no warning
#
# typeguard compiles the source of a function anew, with checks in it. A class of the function around it becomes a free variable
# there, and typeguard takes its value from the local variables of the caller's caller, by counting frames. Called by a helper
# of one line, that is the helper's frame: the class is not found, a name that nobody can resolve takes its place, and whatever
# is given passes. An agent must therefore put no frame between `typechecked` and what it calls, nor between it and its caller.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check typeguard==4.6.1

cat >"$work/app.py" <<'PY'
import warnings

from typeguard import TypeCheckError, typechecked


def helper(function):
    return typechecked(function)


def show(name, check):
    class Price:
        pass

    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")

        @check
        def pay(price: Price) -> None:
            return None

        try:
            pay("nothing of the kind")
            print(f"{name}: returned; {raised[0].category.__name__ if raised else 'no warning'}")
        except TypeCheckError as error:
            print(f"{name}: {type(error).__name__}")


show("directly", typechecked)
show("by a helper", helper)
PY
"$work/venv/bin/python" "$work/app.py" | tee "$work/output"

grep -qx 'directly: TypeCheckError' "$work/output"
grep -qx 'by a helper: returned; no warning' "$work/output"
