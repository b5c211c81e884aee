#!/usr/bin/env bash
# A pytest plugin whose package was imported before pytest began ends every session that treats warnings as errors, even if the
# plugin is switched off with `-p no:NAME`.
#
# pytest 9.2.0, CPython 3.11.7. Seen:
#   not imported before: 1 passed
#   imported before: PytestAssertRewriteWarning: Module already imported so cannot be rewritten; early
#   imported before, -p no:early: PytestAssertRewriteWarning: Module already imported so cannot be rewritten; early
#
# pytest marks for assertion rewriting every top-level package among the *files of the distribution* that has a `pytest11` entry
# point, not only the module that the entry point names, and it does so before it asks which plugins are blocked. A package that
# a sitecustomize or a .pth file has imported is then "already imported": one warning in every session, and with
# `filterwarnings = error` no test runs. The package's own way out is the word PYTEST_DONT_REWRITE in its docstring. An editable
# installation does not show it, as its distribution lists no files.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 setuptools==80.9.0 wheel==0.45.1

mkdir -p "$work/early/early" "$work/suite"
touch "$work/early/early/__init__.py" "$work/early/early/plugin.py"
cat >"$work/early/pyproject.toml" <<'TOML'
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "early"
version = "1"
[project.entry-points.pytest11]
early = "early.plugin"
[tool.setuptools]
packages = ["early"]
TOML
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation "$work/early"

printf '[pytest]\nfilterwarnings = error\n' >"$work/suite/pytest.ini"
printf 'def test_one():\n    assert 1\n' >"$work/suite/test_one.py"
cd "$work/suite"
last() { { "$@" 2>&1 || true; } | grep -oE '1 passed|PytestAssertRewriteWarning: .*' | tail -n 1; }
{
    echo "not imported before: $(last "$work/venv/bin/python" -m pytest -q -p no:cacheprovider)"
    begin='import early, sys, pytest; sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))'
    echo "imported before: $(last "$work/venv/bin/python" -c "$begin")"
    echo "imported before, -p no:early: $(last "$work/venv/bin/python" -c "$begin" -p no:early)"
} | tee "$work/output"

message='PytestAssertRewriteWarning: Module already imported so cannot be rewritten; early'
grep -qx 'not imported before: 1 passed' "$work/output"
grep -qx "imported before: $message" "$work/output"
grep -qx "imported before, -p no:early: $message" "$work/output"
