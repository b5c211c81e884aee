#!/usr/bin/env bash
# A PEX takes modules that a .pth line has imported out of sys.modules, so the program gets them anew, or not at all.
#
# pex 2.105.2, CPython 3.11.7. Seen:
#   python app.py: agent is in sys.modules: True; its import: made 1 time
#   app.pex: agent is in sys.modules: False; its import: ModuleNotFoundError
#
# A PEX hides the site-packages of its interpreter: it cuts sys.path down and removes what was loaded from there from sys.modules. The
# .pth lines have run by then. Threads, hooks and finders that they have installed go on, with module objects that nobody can import
# any more: `import` inside a function of theirs, a pickle, or `sys.modules[__name__]` fails long after the start.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pex==2.105.2
python3 -m venv "$work/plain"
site=$("$work/plain/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo 'made = 1' >"$site/agent.py"
echo 'import agent' >"$site/agent.pth"

mkdir "$work/src"
cat >"$work/src/app.py" <<'PY'
import sys

is_there = "agent" in sys.modules
try:
    import agent

    found = f"made {agent.made} time"
except ImportError as error:
    found = type(error).__name__
print(f"agent is in sys.modules: {is_there}; its import: {found}")
PY
cd "$work"
export PEX_ROOT=$work/root
venv/bin/pex --python plain/bin/python --sources-directory src --entry-point app --output-file app.pex >/dev/null 2>&1
{
    echo "python app.py: $(plain/bin/python src/app.py)"
    echo "app.pex: $(plain/bin/python app.pex)"
} | tee output

grep -qx 'python app.py: agent is in sys.modules: True; its import: made 1 time' output
grep -qx 'app.pex: agent is in sys.modules: False; its import: ModuleNotFoundError' output
