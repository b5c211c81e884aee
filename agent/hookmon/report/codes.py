"""Every code that hookmon prints, with what it means and what to do: the text behind `hookmon help CODE`.

A code is a word. That of an error or of a mistake in a configuration stands in brackets at the end of the line; that of a blind
spot or of a watch is the text before the colon in the report, with hyphens for blanks.
"""

from __future__ import annotations

from difflib import get_close_matches

from hookmon.core.record import Record
from hookmon.report.blind_spot_codes import BLIND_SPOTS

ERROR = "errors"
CONFIGURATION = "mistakes in a configuration"
BLIND_SPOT = "blind spots"
WATCH = "states of a watch"
FINDING = "findings"
EXIT = "exit codes"


class Code(Record, frozen=True):
    """One code. `cause` says what happened, `remedy` what to do about it."""

    name: str
    group: str
    cause: str
    remedy: str


_ERRORS = (
    ("error", "Something is wrong that has no code of its own.", "The line says what was found and what is allowed."),
    (
        "attach-foreign",
        "The process belongs to another user, has more rights than its starter, or cannot see hookmon (a container).",
        "Attach as that user, or from inside the container.",
    ),
    (
        "attach-no-python",
        "The process runs no Python, or one before CPython 3.14, which lets nobody bring code in (PEP 768).",
        "Give the pid of the Python process itself, which may be a child. Start older ones with hookmon run.",
    ),
    (
        "attach-refused",
        "The program was started not to let anybody in, is watched already, or the kernel forbids it (kernel.yama.ptrace_scope).",
        "The line says which.",
    ),
    (
        "attach-waiting",
        "The main thread came to no safe point between two steps of Python: it waits in the kernel, is in C code, or stopped.",
        "Give it longer with --wait, or attach when the program has something to do.",
    ),
    (
        "binary-format",
        "The format asked for is bytes, and would have gone to a terminal or between the program's own output.",
        "Name a file with --output FILE, or pipe hookmon report into a program.",
    ),
    (
        "enable-refused",
        "hookmon enable or disable cannot write the environment's site-packages, found a file there that is not its own, or the "
        "environment has no CPython 3.11 or newer.",
        "The line says which. Name the environment with --venv FOLDER, and be who may write there.",
    ),
    (
        "engine",
        "The compiled engine cannot be built: no C compiler, no headers of the interpreter, or one that hookmon does not know.",
        "The line says which, and what brings what is missing. The pure engine counts meanwhile.",
    ),
    (
        "exit-code-lost",
        "Another part of the system waited for the program, so its exit code never reached hookmon.",
        "Start hookmon run without a supervisor that reaps its children (a container's init is fine).",
    ),
    (
        "file-exists",
        "A file of that name is there, and hookmon overwrites nothing.",
        "Choose another name, or move the file away.",
    ),
    ("installation", "A part of hookmon itself is missing.", "Install it again: pip install --force-reinstall hookmon."),
    (
        "interpreter",
        "The interpreter that was to be looked at cannot be run, or is no Python.",
        "Give the path of a Python from 3.11 on with --python.",
    ),
    ("launch", "The program could not be started.", "The line says why; try the command without hookmon."),
    (
        "memory",
        "The process may use too little memory (ulimit -v, prlimit --as) for hookmon itself, before the program was started.",
        "Allow 40 MB of addresses; the program has the same limit and needs its own.",
    ),
    (
        "no-run-folder",
        "There is no place for the files of the run: /dev/shm, XDG_RUNTIME_DIR and the temporary folder, or the one that "
        "HOOKMON_FOLDER names, are full or cannot be written. The program runs, and nothing is recorded.",
        "Free some space, or set HOOKMON_FOLDER to a folder that can be written.",
    ),
    (
        "no-such-command",
        "The command is not on PATH, or the interpreter in its first line does not exist.",
        "Check the spelling, activate the virtual environment, or give the whole path.",
    ),
    (
        "no-such-run",
        "There is no run of that number, name or path in this project.",
        "hookmon runs lists those that are kept: the last 20 of each project, found from the folder you are in.",
    ),
    (
        "no-budget",
        "There was nothing to judge: no budget is configured, the run has no figures for one, or it could not be recorded.",
        'Write a [budget."NAME"] table, or let hookmon check --update write the figures of a run.',
    ),
    (
        "no-suggestion",
        "Nothing can be suggested: the run watched some functions only and was not sampled, it called none of its own, or packs "
        "count nearly all of its time.",
        "Run hookmon suggest COMMAND, or hookmon run --own COMMAND and then hookmon suggest.",
    ),
    (
        "no-such-finding",
        "The run has no finding of that id, of that beginning of one, or of that rank.",
        "hookmon report RUN --all shows its findings; the id stands below each.",
    ),
    (
        "not-watched-here",
        "Nothing that the run watches has that name, so it cannot be switched off.",
        "Give module:call as in --watch, a name of the report, or a pack (hookmon packs). hookmon top shows what is called.",
    ),
    (
        "not-off",
        "What was to be switched on is not off by that name, or everything is off.",
        "The line says what is off. hookmon on without --watch switches all of it on.",
    ),
    (
        "not-switched",
        "The run cannot be switched: it was started by an older hookmon, it has just ended, or so many names do not fit.",
        "The line says which. Globs, as --watch 'shop.**:*', and names of packs take less room than many functions.",
    ),
    ("not-a-name", "A run cannot be called that: a number, last, or a path means another run.", "Choose a word."),
    ("not-a-run-file", "The file is damaged, or not a run file of hookmon.", "hookmon runs lists the runs that can be read."),
    (
        "not-executable",
        "The command is a folder, has no permission to be executed, or is no program.",
        "chmod +x it, or start it with its interpreter: hookmon run python FILE.",
    ),
    (
        "not-saved",
        "The run could not be written: the disk is full, or the folder cannot be written.",
        "Free some space. The report of the run is printed all the same; what is in memory of a killed run stays there.",
    ),
    (
        "no-export-library",
        "An exporter is on, and a library that it needs is not installed where hookmon is.",
        "pip install 'hookmon[export]' beside hookmon; the program needs none of it.",
    ),
    (
        "export",
        "A setting of an exporter cannot be used, or an endpoint does not take what is sent to it.",
        "Correct the option, the table [export.otlp] or [export.prometheus], or the variable of OpenTelemetry that the line "
        "names. An endpoint that was down gets all counts with the next state that it takes.",
    ),
    (
        "export-filter",
        "The function of `filter` in [export] cannot be had, or has failed for a row, which is missing then.",
        'It is "module:function", importable where hookmon is, and gets a row as a dict; it returns that, or None to drop it.',
    ),
    (
        "export-address",
        "The address of [export.prometheus] cannot be listened at: another process has it, or it is none of this machine.",
        "Choose another port, or end the process that has it; hookmon run --no-export runs a second program without one.",
    ),
    (
        "no-textual",
        "The live view is drawn by the library Textual, which is not installed.",
        "pip install 'hookmon[top]', or hookmon top --plain, which needs nothing.",
    ),
    (
        "not-served",
        "A program with HOOKMON in its environment found no collector in time, or none that could begin a run: it is unwatched.",
        "The line says which. hookmon serve --status shows the collector, the file log in its spool what it said. HOOKMON_WAIT=5 "
        "has programs wait longer; hookmon serve in the background lets them wait for milliseconds only.",
    ),
    (
        "not-running",
        "There is no such run or process that goes on now, so there is nothing to look at live.",
        "Start one with hookmon run COMMAND; hookmon report shows runs that have ended.",
    ),
    ("nothing-saved", "The run is just starting, or was ended before anything was saved of it.", "Wait a moment, or remove it."),
    (
        "other-version",
        "The run was saved by a hookmon whose run files are of another version.",
        "Read it with that version, or export it there as JSON.",
    ),
    (
        "output",
        "The file that was to be written cannot be: its folder is missing, or there is no permission or space.",
        "Choose another file.",
    ),
    (
        "plan",
        "The configuration that was handed to the program is damaged, or of another version.",
        "Two versions of hookmon are mixed: install one of them again.",
    ),
    ("run-file", "A run file cannot be found, read or written.", "hookmon runs lists those that can be read."),
    (
        "store",
        "The store of services cannot be read or written, is damaged, or was made by another version of hookmon.",
        "The line names the file. A damaged one was set aside beside it, and a new one begun; it may be deleted.",
    ),
    (
        "no-such-service",
        "There is no service of that name yet.",
        "hookmon history lists them; hookmon run --service NAME makes one.",
    ),
    (
        "no-series",
        "Of the time that was asked for, nothing is kept of this run.",
        "The line says when it was. hookmon report RUN shows it as a whole.",
    ),
    (
        "whole-service",
        "A service has no end, so it is told which stretch of it is meant.",
        "Say --last 1h, or --since 14:00 --until 14:30; and for a diff --against yesterday.",
    ),
    (
        "whole-run",
        "A part of a run was asked for, as --last 1h, and of a run only how often each name was called is kept by time.",
        "hookmon run --service NAME keeps minutes and hours; then it is hookmon diff NAME --last 1h --against yesterday.",
    ),
    (
        "no-such-transaction",
        "The service has no request, job or test of that name; the line says which are like it.",
        "hookmon history SERVICE --all lists them.",
    ),
    (
        "shard",
        "A file into which a process counted is damaged, or of another version.",
        "What other processes counted is in the report; this one's counts are lost.",
    ),
    ("still-running", "The run goes on.", "Wait for its end; hookmon report shows its figures so far."),
    ("unknown-code", "There is no such code and no such verb.", "hookmon help lists them all."),
)

_CONFIGURATION = (
    ("not-an-endpoint", "A URL, an address or a header of an exporter is not written as one.", "Write it as the message shows."),
    ("configuration", "Something in the configuration is wrong.", "The line says what is allowed."),
    ("contradiction", "Two settings or options say the opposite of each other.", "Keep one of both."),
    ("missing-key", "A table lacks a key that it needs.", "Add it: hookmon config --schema describes all of them."),
    ("no-calls", "A watch names no function.", 'Name some: calls = ["quote", "Basket.*"].'),
    ("no-colon", "--watch has no colon between the module and the functions.", "--watch shop.pricing:quote,Basket.total"),
    (
        "no-table",
        "The table that the file should have is not there.",
        "Begin the part of hookmon with [tool.hookmon] in pyproject.toml, or write a hookmon.toml.",
    ),
    (
        "not-a-hook",
        "A value of a [[hook]] table names no place of a callback, no method, no class or no package.",
        "docs/packs.md lists what each key may be.",
    ),
    (
        "not-a-call",
        "The name of a function cannot be that.",
        'Write "name", "Class.name" or "Class.*", as in the module, without brackets or arguments; a function within another one '
        'is "factory.<locals>.name", all of them are "*.<locals>.*".',
    ),
    (
        "not-a-module",
        "The name of a module cannot be that.",
        'Write it as in an import, "shop.pricing", not as a path; the started script itself is "__main__"; the modules in a '
        'package are "shop.*", it and all below "shop.**". A module that is loaded by its path is named by file = "dags/*.py".',
    ),
    ("not-a-name", "That cannot be the name of a service.", "Write a short name that is no number and no path, as web."),
    (
        "not-a-file",
        "The value of file is not the path of a module, or a glob of such paths.",
        'Write "dags/sales.py", "dags/*.py", or "dags/**/*.py" for all folders below as well. It begins at the folder of the '
        "configuration.",
    ),
    ("not-a-duration", "A duration needs a number and a unit.", 'Write "60ms", "1.5s", or with ns, us or min.'),
    ("not-a-share", "A share must be in per cent.", 'Write "5%", or "off"; of a growth "+10%".'),
    ("not-an-amount", "A number of calls must be 0 or more, and so must one of samples.", "The line says from which number on."),
    (
        "not-a-span",
        "The template of a span cannot be read.",
        "Fields: {arg0}, {parameter}, {self.attribute}, {class}, {function}; at most one filter each, {url|host}. {{ is a brace.",
    ),
    ("not-toml", "The file is no TOML from this line on.", "Often a quote or a bracket is missing there or just before."),
    ("not-utf-8", "TOML files are UTF-8, and this byte is not.", "Save the file as UTF-8."),
    (
        "unknown-key",
        "There is no such key or table.",
        "The line lists the known ones; hookmon config --schema describes them.",
    ),
    ("unknown-kind", "There is no such kind of span.", "The line lists the kinds; function is for everything else."),
    ("unknown-pack", "There is no pack of that name.", "The line lists the packs."),
    ("unknown-redaction", "redact has no such value.", 'Write "off", "literals" or "all".'),
    ("unknown-signal", "There is no such signal.", "The line lists those there are."),
    ("unknown-way", "There is no such way of watching a function.", "Leave via away, or write one that the line lists."),
    ("unreadable-file", "The file cannot be read.", "Check its name and permissions, or leave --config away."),
    ("watched-twice", "Two watches name the same function.", "Remove one of them: each function is watched once."),
    ("wrong-type", "The value is of a type that this key cannot have.", "The line says which is allowed."),
)

_WATCHES = (
    ("active", "The function was found, watched and called.", "Nothing needs to be done."),
    (
        "unused",
        "The function was found and watched, and no call came. What numba, torch.compile or torch.jit has compiled runs "
        "uncounted.",
        "Does this run reach the code that calls it?",
    ),
    (
        "never-imported",
        "No process that was watched has imported the module, or any that a glob stands for. One that code in C has put into "
        "sys.modules is not seen, nor is code that exec runs.",
        "Check its name: it is written as in an import. One that is loaded by its path has the name that its loader is given; "
        'file = "dags/*.py" in place of module names it by its file.',
    ),
    (
        "not-found",
        "The module was imported and has no such function; or it imports that lazily from a module that was never imported; or, "
        "of __main__, the started script was that of a tool.",
        "Check the name; the line may say which one is near, or what was started.",
    ),
    (
        "refused",
        "The function is there and cannot be wrapped: a C type, an object that cannot be changed, a function that was handed "
        "on before (early-reference), or, with the pure engine, one that looks at the frame of its caller.",
        "Watch a Python function that calls it.",
    ),
)

_FINDINGS = (
    (
        "computing",
        "A request, job or test has a processor for 80 % of its time or more, in its own thread: 20 measured ones at least, and "
        "5 % of the run's time. A database that answers at once would save a fifth at most, and more threads of one interpreter "
        "take turns.",
        "Start more worker processes, up to the number of processors, or make the code shorter; hookmon explain says more.",
    ),
)

_EXITS = (
    ("exit-1", "Of hookmon check and hookmon run --check: a budget is broken.", "The lines above say which, and by how much."),
    (
        "exit-3",
        "Of hookmon check and hookmon run --check: nothing could be judged.",
        "See no-budget, or the reasons in the lines.",
    ),
    ("exit-2", "The options or the configuration are wrong; nothing was started.", "The lines say where."),
    ("exit-125", "hookmon itself failed before the program was started.", "The line says why."),
    ("exit-126", "The command is there and cannot be executed.", "See not-executable."),
    ("exit-127", "The command is not there.", "See no-such-command."),
    ("exit-130", "The program, or hookmon, was interrupted with Ctrl-C.", "Nothing needs to be done."),
    (
        "exit-128+n",
        "Signal N killed the program: 137 is SIGKILL (often the memory limit), 139 SIGSEGV, 143 SIGTERM.",
        "hookmon report shows what was in flight at that moment.",
    ),
)

CODES = {
    name: Code(name, group, cause, remedy)
    for group, rows in (
        (ERROR, _ERRORS),
        (CONFIGURATION, _CONFIGURATION),
        (BLIND_SPOT, BLIND_SPOTS),
        (WATCH, _WATCHES),
        (FINDING, _FINDINGS),
        (EXIT, _EXITS),
    )
    for name, cause, remedy in rows
}
"""All codes by name, group by group."""


def find(text: str) -> Code | None:
    """Return the code that is meant by a word, or by what a report prints before a colon; None when there is none."""
    name = slug(text)
    if (
        name.removeprefix("exit-").isdecimal()
        and 128 < int(name.removeprefix("exit-")) <= 192
        and name not in ("130", "exit-130")
    ):
        name = "exit-128+n"
    return CODES.get(name) or CODES.get("exit-" + name)


def slug(text: str) -> str:
    """Return the code of a text from a report."""
    return text.strip().strip("[]:_").lower().replace(" ", "-").replace("_", "-")


def find_near(text: str, others: list[str]) -> str:
    """Return the code, or the one of `others`, that is nearest to a text; "" when none is near."""
    found = get_close_matches(slug(text), [*CODES, *others], n=1)
    return found[0] if found else ""
