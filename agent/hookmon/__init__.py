"""The package imports nothing: the watched program pays for every line here."""

__version__ = "0.1.0"
