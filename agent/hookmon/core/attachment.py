"""What launcher and probe agree on where hookmon is attached to a program that runs: scripts and answers in the run folder.

The launcher hands the path of a script to `sys.remote_exec` (PEP 768, from CPython 3.14 on), and the program's main thread
executes it at its next safe point. What came of it stands in an answer: one file for each process and verb, DONE with what there
is to tell, or a reason in one line. It is written beside its place and moved there, so that who finds it finds it whole.
"""

from __future__ import annotations

ATTACH = "attach"
DETACH = "detach"
SCRIPT_SUFFIX = ".script"
ANSWER_SUFFIX = ".answer"
UNFINISHED_SUFFIX = ".answer-begun"
DONE = "done"
"""The first word of an answer that tells of success."""


def script_name(verb: str) -> str:
    """Return the name of the script of a verb."""
    return verb + SCRIPT_SUFFIX


def answer_name(pid: int, verb: str) -> str:
    """Return the name of a process's answer; `pid` is the process's own word for itself."""
    return f"{pid}-{verb}{ANSWER_SUFFIX}"


def script(verb: str, agent_folder: str, run_folder: str) -> str:
    """Return the script of a verb. It prints nothing and raises nothing, and names nothing in the program's modules."""
    source = _SOURCE.format(verb=verb, agent=agent_folder, folder=run_folder, mark=f"<hookmon {verb}>")
    code = f"compile({source!r}, '<hookmon {verb}>', 'exec', dont_inherit=True)"
    return f"__import__('builtins').exec({code}, {{'__name__': 'hookmon_script'}})\n"


# Signals are kept back from the main thread meanwhile: what a handler raised would end in the script, and the program would never
# see it. Another thread may take one all the same, and Python runs its handler here. That signal is told once more when the
# script is over.
_SOURCE = """\
import _signal, posix, sys, time

def attempt(function):
    try:
        function()
    except Exception as error:
        return error
    return None

def act():
    begun_ns = time.thread_time_ns()
    agent = {agent!r}
    sys.path.insert(0, agent)
    try:
        import hookmon
        if not (hookmon.__file__ or "").startswith(agent + "/"):
            return "it has imported another hookmon, " + str(hookmon.__file__)
        import hookmon.probe.attaching as attaching
    finally:
        sys.path.remove(agent)
        sys.path_importer_cache.pop(agent, None)
    return attaching.{verb}({folder!r}, begun_ns, attempt)

def answer(text):
    name = {folder!r} + "/" + str(posix.getpid()) + "-{verb}.answer"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW | posix.O_CLOEXEC
    file = posix.open(name + "-begun", flags, 0o600)
    try:
        posix.write(file, text.encode("utf-8", "replace"))
    finally:
        posix.close(file)
    posix.replace(name + "-begun", name)

def signal_of(error):
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        given = [frame.f_locals.get(name) for name in frame.f_code.co_varnames[:frame.f_code.co_argcount]][-2:]
        if len(given) == 2 and isinstance(given[0], int) and type(given[1]) is type(frame):
            return int(given[0])
        trace = trace.tb_next
    return 2 if isinstance(error, KeyboardInterrupt) else 0

def tell_again(number):
    import _thread
    me = _thread.get_ident()
    def tell():
        frame = sys._current_frames().get(me)
        while frame is not None:
            if frame.f_code.co_filename == {mark!r}:
                time.sleep(0.001)
                frame = sys._current_frames().get(me)
            else:
                frame = frame.f_back
        _thread.interrupt_main(number)
    _thread.start_new_thread(tell, ())

def run():
    text = None
    kept = _signal.pthread_sigmask(_signal.SIG_BLOCK, set(_signal.valid_signals()) - {{4, 5, 7, 8, 11}})
    try:
        text = act()
    except BaseException as error:
        number = signal_of(error)
        text = "a signal handler of the program raised meanwhile" if number else type(error).__name__ + ": " + str(error)
        if number:
            tell_again(number)
    finally:
        try:
            answer(text)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, kept)

try:
    run()
except BaseException as error:
    number = signal_of(error)
    if number:
        tell_again(number)
"""
