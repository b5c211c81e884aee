#!/usr/bin/env bash
# pyfakefs takes the import hook of somebody else out of sys.meta_path, and leaves its own there.
#
# pyfakefs 6.3.2, CPython 3.11.7. Seen:
#   before: Other, then Python's
#   within: Other, DynamicPatcher, then Python's
#   after: DynamicPatcher, then Python's
#
# Its Patcher puts its finder at sys.meta_path[0] and, at the end, takes away what is first by then (`sys.meta_path.pop(0)`). A finder that
# goes to the front meanwhile, as import hooks of tools that must see every module may do, is gone afterwards;
# pyfakefs's own stays, though it serves a file system that is no longer there.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyfakefs==6.3.2

cat >"$work/app.py" <<'PY'
import sys

from pyfakefs.fake_filesystem_unittest import Patcher


class Other:
    """A finder that wants to stay in front."""

    def find_spec(self, name, path=None, target=None):
        return None


def show(moment):
    names = [type(finder).__name__ for finder in sys.meta_path if not isinstance(finder, type)]
    print(f"{moment}: {', '.join(name for name in names if name in ('Other', 'DynamicPatcher'))}, then Python's")


other = Other()
sys.meta_path.insert(0, other)
show("before")
with Patcher():
    sys.meta_path.remove(other)
    sys.meta_path.insert(0, other)
    show("within")
show("after")
PY
"$work/venv/bin/python" "$work/app.py" | tee "$work/output"

grep -qx "before: Other, then Python's" "$work/output"
grep -qx "within: Other, DynamicPatcher, then Python's" "$work/output"
grep -qx "after: DynamicPatcher, then Python's" "$work/output"
