"""The one tree of errors that hookmon raises before the watched program runs or after it ended.

Nothing in here is ever raised inside the watched program: there, a failure becomes a note in the shard.
"""

from __future__ import annotations


class HookmonError(Exception):
    """A mistake that its maker can mend: the text says where, what was found and what is allowed.

    `exit_code` is what the command line ends with; `code` is a word that `hookmon help` explains.
    """

    exit_code = 2
    code = "error"

    def __init__(self, message: str, *, code: str = "") -> None:
        self.code = code or self.code
        super().__init__(message)

    def lines(self) -> list[tuple[str, str]]:
        """Return each problem on a line, with its code."""
        *others, last = str(self).splitlines() or [""]
        return [*((line, "") for line in others), (last, self.code)]


class ConfigError(HookmonError):
    """Everything that is wrong with a configuration, found in one pass.

    `problems` holds one text for each mistake, in the order of the file; `codes` the code of each.
    """

    code = "configuration"

    def __init__(self, problems: list[str], codes: list[str] | None = None) -> None:
        self.problems = problems
        self.codes = codes or [self.code] * len(problems)
        super().__init__("\n".join(problems))

    def lines(self) -> list[tuple[str, str]]:
        """Return each problem with its code."""
        return list(zip(self.problems, self.codes, strict=True))


class PlanError(HookmonError):
    """A plan file is damaged or was written by another version."""

    code = "plan"


class ShardError(HookmonError):
    """A shard is not one: truncated header, foreign magic or another version."""

    code = "shard"


class RunFileError(HookmonError):
    """A run cannot be found, or its file is unreadable, foreign or from another version."""

    code = "run-file"


class StoreError(HookmonError):
    """The store of services cannot be read or written, or there is no such service in it."""

    code = "store"


class LaunchError(HookmonError):
    """The program could not be started. `exit_code` follows the shells: 127 not found, 126 not executable, 125 our own."""

    code = "launch"

    def __init__(self, message: str, exit_code: int, *, code: str = "") -> None:
        self.exit_code = exit_code
        super().__init__(message, code=code)


class AttachError(HookmonError):
    """A program that runs cannot be attached to, or hookmon cannot leave it."""

    exit_code = 1
    code = "attach-refused"


class DoorError(HookmonError):
    """An environment gets no door by `hookmon enable`, or does not lose it."""

    exit_code = 1
    code = "enable-refused"


class EngineError(HookmonError):
    """The compiled engine cannot be built for an interpreter, or one that was built cannot be removed."""

    exit_code = 1
    code = "engine"


class EarlySignal(HookmonError):  # noqa: N818  # it is no mistake of anybody's
    """A signal that ends processes has come before the program was started. The command line ends by that signal."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"ended by signal {number} before the program was started")


class NotRunningError(HookmonError):
    """What was to be looked at while it runs does not run."""

    exit_code = 1
    code = "not-running"
