#!/usr/bin/env bash
# DuckDB's execute() finds a variable of the program as a table only where no frame stands between it and the program.
#
# duckdb 2.0.1 and 1.1.3, CPython 3.12.1. Seen:
#   directly: 42
#   by a helper: CatalogException
#
# A table that the database has not is looked for among the variables of the calling Python frame ("replacement scan"), and those
# of its module. Called by a helper of one line, that is the helper's frame, and its module's variables. An agent written in Python
# that stands in for execute() makes such statements fail; one that calls in C does not.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "duckdb==${DUCKDB:-2.0.1}"

cat >"$work/agent.py" <<'PY'
def helper(execute):
    def call(statement):
        return execute(statement)

    return call
PY
cat >"$work/app.py" <<'PY'
import duckdb
from agent import helper

database = duckdb.connect()


def show(name, execute):
    answer = database.sql("SELECT 42 AS n")
    try:
        print(f"{name}: {execute('SELECT n FROM answer').fetchone()[0]}")
    except duckdb.Error as error:
        print(f"{name}: {type(error).__name__}")


show("directly", database.execute)
show("by a helper", helper(database.execute))
PY
"$work/venv/bin/python" "$work/app.py" | tee "$work/output"

grep -qx 'directly: 42' "$work/output"
grep -qx 'by a helper: CatalogException' "$work/output"
