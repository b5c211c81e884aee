"""The second door: what the line of `hookmon enable` in an environment's site-packages calls when Python starts.

It is called in each process of the environment that has HOOKMON or HOOKMON_RUN, with -I and -E as well, for Python executes
`.pth` files there, too. It has our sitecustomize.py imported, which starts the probe: once, whichever doors there are. Standard
library only; prints nothing, raises nothing of its own.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_refused = []
"""Whether there was no run for this process. Python up to 3.12 executes the `.pth` files of a virtual environment twice."""


def enter(agent_folder, interpreter):
    """Have the probe started in this process where its environment asks for it.

    `agent_folder` is what hookmon is imported from, `interpreter` the Python that hookmon was installed in.
    """
    environ = os.environ
    if environ.get("HOOKMON_DISABLE", "0") not in ("", "0"):
        return
    if not _is_there(environ.get("HOOKMON_RUN")) and not _begin_run(agent_folder, interpreter):
        return
    bootstrap = _bootstrap_folder(environ.get("PYTHONPATH", ""))
    if _comes_later():
        _put_first(bootstrap)
    elif getattr(sys.modules.get("hookmon.probe"), "arrivals", None) is None:
        _start_late(bootstrap)


def _is_there(run_folder):
    """Say whether there is a run to belong to: the variable outlives it, in shells and daemons."""
    return bool(run_folder) and os.path.isdir(run_folder)


def _begin_run(agent_folder, interpreter):
    """Begin a run where HOOKMON asks for one; say whether there is one now. Children find it as those of `hookmon run` do.

    The kernel shows the environment of a fork as it was at the exec. The collector knows forks by that and by their image.
    """
    if _refused or os.environ.get("HOOKMON", "0") in ("", "0"):
        return False
    sys.path.insert(0, _HERE)
    try:
        import hookmon_request
    finally:
        sys.path.remove(_HERE)
        sys.path_importer_cache.pop(_HERE, None)
    del sys.modules["hookmon_request"]
    if not hookmon_request.is_wanted():
        return False
    run_folder = hookmon_request.begin(agent_folder, interpreter)
    if not run_folder:
        _refused.append(True)
    if run_folder:
        os.environ["HOOKMON_RUN"] = run_folder
        os.environ["HOOKMON_AGENT"] = agent_folder
    return bool(run_folder)


def _bootstrap_folder(path):
    """Return the bootstrap folder of the hookmon that has started this run, which may be another one than ours."""
    for entry in path.split(os.pathsep):
        if os.path.basename(entry) == "hookmon_bootstrap" and os.path.isfile(os.path.join(entry, "sitecustomize.py")):
            return entry
    return _HERE


def _comes_later():
    """Say whether `site` is just starting this interpreter, and will import a sitecustomize.

    Otherwise somebody has called site.addsitedir, as mod_wsgi does for its python-path.
    """
    frame = None if "sitecustomize" in sys.modules else sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "main" and frame.f_globals.get("__name__") == "site":
            return True
        frame = frame.f_back
    return False


def _put_first(bootstrap):
    """Have our sitecustomize found before all others. It leaves sys.path itself, and passes on to the user's own."""
    sys.path[:] = [bootstrap] + [entry for entry in sys.path if entry != bootstrap]


def _start_late(bootstrap):
    """Execute what our sitecustomize does before it makes room for the user's, which was imported long ago."""
    path = os.path.join(bootstrap, "sitecustomize.py")
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, {"__name__": "hookmon_late_start", "__file__": path})
