"""The functions whose calls are measured: they do nothing."""

from __future__ import annotations

from collections.abc import Iterator


def function() -> None:
    """Be called."""


def wrapped() -> None:
    """Be called by way of a wrapper under its name."""


async def joined() -> None:
    """Be awaited by way of such a wrapper."""


def coded() -> None:
    """Be called, and counted by the events of its code."""


def numbers() -> Iterator[int]:
    """Be stepped through: eleven steps."""
    yield from range(10)


async def awaited() -> None:
    """Be awaited, and counted by the events of its code."""


class Shop:
    """Something with a method."""

    def method(self) -> None:
        """Be called."""


async def coroutine() -> None:
    """Be awaited."""


def named(item: str) -> None:
    """Be called, and counted under a name that depends on the argument."""


def level1() -> None:
    """Call nine others inside each other."""
    level2()


def level2() -> None:
    """One of ten."""
    level3()


def level3() -> None:
    """One of ten."""
    level4()


def level4() -> None:
    """One of ten."""
    level5()


def level5() -> None:
    """One of ten."""
    level6()


def level6() -> None:
    """One of ten."""
    level7()


def level7() -> None:
    """One of ten."""
    level8()


def level8() -> None:
    """One of ten."""
    level9()


def level9() -> None:
    """One of ten."""
    level10()


def level10() -> None:
    """The innermost."""
