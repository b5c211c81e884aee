"""Wrappers, which take the place of callables, and the choice of one. Those of the compiled engine are in C."""
