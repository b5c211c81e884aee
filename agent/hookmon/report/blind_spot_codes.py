"""The codes of blind spots, each with what happened and what to do: a part of `codes`."""

from __future__ import annotations

BLIND_SPOTS = (
    (
        "compiled-module",
        "Modules of the program's own are compiled (mypyc, Cython): there is no function of Python in them for --own to watch.",
        "Install the library without its binary wheel, pip install --no-binary NAME, or watch what calls it.",
    ),
    (
        "compiled",
        "A compiler (numba, torch.compile) has made other code of a watched function. Where that runs in its place, nobody tells "
        "of a call. Calls of the function of Python are counted as ever.",
        "Nothing needs to be done. Watch the function that calls it, or, to see it once, switch the compiler off: "
        "NUMBA_DISABLE_JIT=1, TORCHDYNAMO_DISABLE=1.",
    ),
    (
        "main",
        "Functions of __main__ were to be watched, and no script was started that can be: python -c, standard input, or no "
        "Python at all.",
        "Put the functions into a module, or start a file.",
    ),
    (
        "history",
        "What a service has counted is kept within limits, minutes for two days, hours for sixty; or a start was lost.",
        "Nothing needs to be done. The line says what is not there any more, or is counted together.",
    ),
    (
        "attached",
        "hookmon came to the program while it ran: calls and registrations of before, and calls under way then, are not counted.",
        "Start the program with hookmon run to see its whole run.",
    ),
    (
        "cpu-time",
        "How long transactions compute is not measured where greenlets take turns (gevent, eventlet, a scheduler of the "
        "program's own): the system has a clock for each thread, which counts all greenlets of it together.",
        "Nothing needs to be done; everything else is measured. With threads or asyncio it is measured.",
    ),
    (
        "early-reference",
        "A function was handed on before hookmon could put its stand-in in its place: to a decorator (a route, a task), a table, "
        "a closure, a signal, which may compare it or call it past the stand-in. So it was left as it is, and its calls are not "
        "counted.",
        "Watch what it calls or what calls it, describe the decorator as a [[hook]], whose callbacks are timed, or, for a "
        'function of the started script, watch it in the module "__main__".',
    ),
    (
        "off",
        "Somebody has switched everything off while the run went on, or some targets (hookmon off). What began then is not "
        "counted; what had begun before was counted when it ended. A name that was off has fewer calls than there were.",
        "hookmon on switches on what is off.",
    ),
    (
        "reloaded",
        "The configuration was read again while the run went on (hookmon reload), and a watch or pack of before is not in it any "
        "more. What it had counted until then stays in the report.",
        "Put it back and reload once more, if it is to be counted.",
    ),
    (
        "export-full",
        "A run has more series than are exported. The first ones keep theirs; what came later is in the overflow of its metric, "
        "so that all sums are right. Mostly it is a route or name with a value in it. Or it had more than 50 traces a minute: "
        "those that were less slow, or failed later, are left out.",
        "Give requests routes, not paths (hookmon report shows the names); a [export] filter can take attributes away.",
    ),
    (
        "export-lost",
        "A backend did not take some of the states that were sent to it. Counters are cumulative: the next state that it takes "
        "has all counts. What was counted after the last one that it took is missing there.",
        "The line has the reason; docs/howto-export.md says what backends refuse.",
    ),
    (
        "fork-in-c",
        "C code (uWSGI, a program that embeds Python) has forked a process without telling Python, and the pure engine notices "
        "that only where something new is called: a few calls of such processes are counted in the one they came from, or lost.",
        "Install a C compiler and hookmon again: the compiled engine counts them exactly. uWSGI tells Python with "
        "--py-call-osafterfork.",
    ),
    (
        "given-up",
        "With --own all functions are watched. Those that are called very often and do little in a call were given up once all "
        "together cost more than twice max_overhead: the report has their first calls. Their time since is their callers'.",
        'To have all calls of one, name it in a [[watch]]; max_overhead = "off" gives none up.',
    ),
    (
        "glob-full",
        "A glob in module or file stands for more than 2,000 modules. The first of them are watched, the others are not.",
        'Name the package whose functions you want to see: "shop.orders.**" and not "shop.**".',
    ),
    (
        "hook",
        "Callbacks are not timed where that would change what the program does: a class, an object whose class leaves no room, "
        "callbacks in a list that is handed on, in a set, or held weakly. They are called as without hookmon.",
        "Watch the functions that they call, or name another place of the callbacks in the [[hook]] table.",
    ),
    (
        "no-pack",
        "The program imports a well-known library that hookmon has no pack for: its calls are in nobody's figures, and what they "
        "took is self time of what is around them.",
        "The line has the --watch that counts them; docs/packs.md says how a pack is written, in ten lines.",
    ),
    (
        "not-sampled",
        "Samples were asked for, and there are none of a process: py-spy is not installed or does not know its Python, the "
        "kernel lets nobody read it (ptrace_scope, a container without SYS_PTRACE, another user's process), or it ended at once.",
        "pip install 'hookmon[samples]'; in a container, allow SYS_PTRACE; or set kernel.yama.ptrace_scope to 0. All that is "
        "counted is counted without samples, too.",
    ),
    (
        "lanes",
        "More threads, tasks or greenlets were alive at once than have a place: what they do at a moment is not shown. Their "
        "calls are counted.",
        "Nothing needs to be done.",
    ),
    (
        "left-behind",
        "The program holds wrappers that it took while hookmon was attached. They call through and count for nobody.",
        "Nothing needs to be done.",
    ),
    (
        "launcher-killed",
        "hookmon itself was killed during the run. The counts are whole; exit codes, CPU time and memory are not known.",
        "Give the launcher time to end: it ends right after the program.",
    ),
    (
        "not-followed",
        "The program was started without a launcher, and hookmon serve was not there all the time: it was ended, or could not be "
        "started. Calls are whole; exit codes are not known, and CPU time and memory not of all of it.",
        "Keep hookmon serve running, as a service of its own (docs/howto-enable.md).",
    ),
    (
        "not-watched",
        "A process of the run was not watched: it is no Python, or its interpreter was told to ignore the environment "
        "(-I, -E, -S, a cleared environment), or is older than 3.11, or runs with the rights of another user, or a watched "
        "process became it by exec.",
        "The line says which. hookmon doctor COMMAND tells it before the start. hookmon enable mends -I, -E and a "
        "replaced PYTHONPATH.",
    ),
    (
        "no-monitoring",
        "Two other tools have taken the numbers that sys.monitoring has free: the steps of generators and coroutines, makings of "
        "instances, getters and recursions are not told. What has a name that can be replaced is watched by that.",
        "The line names the tools; run without one of them.",
    ),
    (
        "own-failure",
        "Something in hookmon failed inside the program, which was left alone; a watch may be missing.",
        "Please report it with the line.",
    ),
    (
        "pack",
        "A pack that an installed package brings cannot be used, because of a mistake in it; the others work.",
        "The line says which; tell those who made the package, or leave the pack out with --no-pack NAME.",
    ),
    (
        "pack-incomplete",
        "Most of what a pack names was not found in the modules that the program imported: the library is another release than "
        "the pack knows, or its names were not there yet. What is in no row has not been counted.",
        "hookmon report --all lists what was not found, and the release; look for a newer hookmon.",
    ),
    (
        "processes",
        "The launcher was killed in another container, or before the machine was started anew: whether a process of the run "
        "still counts cannot be told from here, so what it left is shown and kept.",
        "Look from there. Where it is gone for good, delete the run folder.",
    ),
    (
        "run-folder",
        "The folder with the files of the run was deleted while it lasted, or belongs to another user.",
        "Keep cleaners of /dev/shm and of the temporary folder away from hookmon-*; look as the user who started the run.",
    ),
    (
        "sampled-timing",
        "A function was called so often that timing each call would have cost more than max_overhead: one of 64 calls is "
        "timed, all are counted, and times are scaled up.",
        'Raise max_overhead, set it to "off", or do not watch that function.',
    ),
    (
        "shared-code",
        "A module was executed more than once from one and the same code object. Its functions are told apart by their code, so "
        "those of all times are counted as one.",
        "Nothing needs to be done, unless you want them apart: compile the source once more for each.",
    ),
    ("shard-damaged", "A part of what a process counted cannot be read.", "Its other counts are in the report."),
    (
        "shard-full",
        "A process found no more space for new names: they are counted together, without the place they came from. Where the "
        "file system had none left even for that, the line says how many calls are counted nowhere.",
        "Choose span templates with fewer values: a route, not a path; a table, not a key. Or give the run folder more room.",
    ),
    (
        "no-engine",
        "The program ran on an interpreter for which there is no compiled engine: hookmon was installed without a C compiler, or "
        "for another interpreter. The pure one counts, which costs ten times as much a call. Nothing is lost.",
        "hookmon engine build --python with the interpreter that the line names. That needs a C compiler and the interpreter's "
        "headers, and says which package brings what is missing.",
    ),
    (
        "no-room",
        "The file system of the run folder was so full that another process would not have found room for its counters: a "
        "quarter of it, at most 32 MiB, is left to the program. Processes that made their first watched call then are in none "
        "of the figures.",
        "Make it larger, or name another place with HOOKMON_FOLDER: 64 KB for each process at the same time, and a quarter.",
    ),
    (
        "shard-unreadable",
        "What a process counted cannot be read at all.",
        "The line says why; other processes are in the report.",
    ),
    (
        "signals",
        "A process measured more signals than it has room for: counters, gauges and histograms of adapters, by their names.",
        "Have fewer names: what varies with users or data belongs in no name.",
    ),
    (
        "stale-engine",
        "There is a compiled engine for this interpreter, and it is not used: it was built from other sources, so that its "
        "numbers or names are not those of this hookmon, or it is damaged, cannot be loaded, or somebody else may write to it. "
        "The pure one counts, which costs ten times as much a call. Nothing is lost.",
        "Build it again: hookmon engine build --python with the interpreter that the line names; pip install -e . in a checkout.",
    ),
    (
        "unknown-python",
        "The program ran on a CPython that is newer than this hookmon: the compiled engine, which knows how an interpreter "
        "keeps its functions and threads, is not used there. The pure one counts, which costs ten times as much a call.",
        "Install a newer hookmon, once there is one that knows it.",
    ),
    (
        "uvloop",
        "What blocks an event loop was asked for, and the program's loop is uvloop's, which calls everything in C.",
        "Run the program once with asyncio's own loop, or with loop.set_debug(True): uvloop then logs what takes long.",
    ),
    (
        "watched-late",
        "A module came in at a moment when it could not be watched at once: a signal handler imported it while hookmon was at "
        "work, a set-up had failed before, or threads would have waited for each other. Calls until then are not counted.",
        "Import the module at the start of the program.",
    ),
)
