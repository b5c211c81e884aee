"""The one tree of errors that hookmon raises before the watched program runs or after it ended.

Nothing in here is ever raised inside the watched program: there, a failure becomes a note in the shard.
"""

from __future__ import annotations


class HookmonError(Exception):
    """A mistake that its maker can mend: the text says where, what was found and what is allowed.

    `exit_code` is what the command line ends with.
    """

    exit_code = 2


class ConfigError(HookmonError):
    """Everything that is wrong with a configuration, found in one pass.

    `problems` holds one text for each mistake, in the order of the file.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class PlanError(HookmonError):
    """A plan file is damaged or was written by another version."""


class ShardError(HookmonError):
    """A shard is not one: truncated header, foreign magic or another version."""


class RunFileError(HookmonError):
    """A run cannot be found, or its file is unreadable, foreign or from another version."""


class LaunchError(HookmonError):
    """The program could not be started. `exit_code` follows the shells: 127 not found, 126 not executable, 125 our own."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)
