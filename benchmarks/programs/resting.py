"""A program that says that it is ready and then sleeps, or has 8 forked workers each of which is at work a fifth of the time."""

from __future__ import annotations

import os
import sys
import time


def part(number: int) -> int:
    """Do something small."""
    return sum(range(number))


def step(number: int) -> int:
    """Do a few of them."""
    return part(number) + part(number // 2)


def turn() -> int:
    """Be one unit of work."""
    return sum(step(number) for number in range(50, 100))


def work() -> None:
    """Be at work for a fifth of the time."""
    while True:
        began = time.perf_counter()
        turn()
        time.sleep(4 * (time.perf_counter() - began))


def main() -> None:
    """Say on stdout that it is ready, and go on until it is killed."""
    for _ in range(int(sys.argv[1])):
        if not os.fork():
            work()
    turn()
    print("ready", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
