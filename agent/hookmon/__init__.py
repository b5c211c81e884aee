"""The package imports nothing: the watched program pays for every line here.

PYTEST_DONT_REWRITE: pytest would rewrite the assertions of all modules of this distribution, as one of them is a plugin for it,
and warns of this one, which is imported already in a program that is watched. With `-W error` that would end the session.
"""

__version__ = "0.1.0"
__doc__ = __doc__ or "PYTEST_DONT_REWRITE"  # `python -OO` drops the docstring
