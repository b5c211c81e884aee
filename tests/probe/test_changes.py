"""What is changed in a program that hookmon was attached to is changed back."""

from __future__ import annotations

import pytest


def test_code_of_functions_is_given_back(fresh) -> None:
    """A function is a place, too: what others have put there since then stays."""
    fresh("""
        from hookmon.probe.patching.changes import Changes
        def one(): return 1
        def other(): return 1
        def two(): return 2
        def three(): return 3
        codes = one.__code__, other.__code__
        changes = Changes()
        for function in (one, other):
            changes.replace(function, "__code__", two.__code__)
        assert (one(), other()) == (2, 2)
        other.__code__ = three.__code__
        changes.take_back()
        assert one.__code__ is codes[0] and (one(), other()) == (1, 3)
    """)


def test_a_library_that_reads_code_is_as_before(fresh) -> None:
    """Its function has its own code again, and is hooked once however often its module arrives."""
    pytest.importorskip("typeguard")
    fresh("""
        import typeguard._decorators as library
        from hookmon.probe.patching import compilers
        from hookmon.probe.patching.changes import Changes
        function = library.find_target_function
        before = function.__code__
        changes = Changes()
        compilers.patch(library, "typeguard._decorators", changes)
        hooked = function.__code__
        compilers.patch(library, "typeguard._decorators", changes)
        assert function is library.find_target_function and function.__code__ is hooked is not before
        changes.take_back()
        assert function.__code__ is before
    """)
