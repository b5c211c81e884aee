#!/usr/bin/env bash
# PyFunction_SetVectorcall on an __init__: from CPython 3.13 on a class that is called goes past it, once the call site is warm.
#
# Needs python3.12, python3.13 on PATH, or interpreters as arguments: the older one first. Seen with CPython 3.12.1 and 3.13.0:
#   3.12: 500 of 500 makings of an instance came through the slot, 500 of 500 plain calls
#   3.13: 1 of 500 makings of an instance came through the slot, 500 of 500 plain calls
#
# The function is public (cpython/funcobject.h) and its slot is honoured for each call of the function. But the specialised
# instruction for calling a class enters the frame of the `__init__` that it has remembered by the version of the type, which
# setting the slot does not change. Whoever counts calls by the slot counts the first.
set -euo pipefail

older=$(command -v "${1:-python3.12}")
newer=$(command -v "${2:-python3.13}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >count.py <<'PY'
import ctypes
import sys
import types

Vectorcall = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.POINTER(ctypes.py_object), ctypes.c_size_t, ctypes.c_void_p)
set_vectorcall = ctypes.pythonapi.PyFunction_SetVectorcall
set_vectorcall.argtypes = (ctypes.py_object, Vectorcall)
set_vectorcall.restype = None
kept = []


def count_calls(function):
    """Return a list that gets an element for each call that comes through the slot."""
    same = types.FunctionType(function.__code__, function.__globals__)
    seen = []

    def called(_function, arguments, number, _names):
        seen.append(None)
        return same(*[arguments[index] for index in range(number & ~(1 << 63))])

    kept.append(Vectorcall(called))
    set_vectorcall(function, kept[-1])
    return seen


class Thing:
    def __init__(self, value):
        self.value = value


def plain(value):
    return value


makings, calls = count_calls(Thing.__init__), count_calls(plain)
for number in range(500):
    Thing(number)
    plain(number)
version = "%d.%d" % sys.version_info[:2]
print(f"{version}: {len(makings)} of 500 makings of an instance came through the slot, {len(calls)} of 500 plain calls")
PY
{ "$older" count.py; "$newer" count.py; } | tee output

grep -qx '3.12: 500 of 500 makings of an instance came through the slot, 500 of 500 plain calls' output
grep -qx '3.13: 1 of 500 makings of an instance came through the slot, 500 of 500 plain calls' output
