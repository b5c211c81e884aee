"""Lets a sampler of the launcher's read this process, where Linux allows that to nobody but a process's own parents.

In: the pid of the launcher, whose children may then read. Imported only where samples were asked for, the Yama security module is
there, and its ptrace_scope is 1 (Documentation/admin-guide/LSM/Yama.rst). Runs in the watched process.
"""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PR_SET_PTRACER = 0x59616D61  # linux/prctl.h


def allow(pid: int) -> None:
    """Say that a process and its children may read this one; an exec keeps that, a fork does not, so its child says it again.

    Raises ImportError where this Python has no libffi. What the kernel answers is not looked at: py-spy says it.
    """
    _name_tracer(pid)
    posix.register_at_fork(after_in_child=lambda: _name_tracer(pid))


def _name_tracer(pid: int) -> None:
    from _ctypes import call_function, dlopen, dlsym  # ctypes itself is ten modules

    program: Any = None  # and all that it is linked with
    call_function(dlsym(dlopen(program, 0), "prctl"), (_PR_SET_PTRACER, pid, 0, 0, 0))
