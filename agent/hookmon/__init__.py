"""The package imports nothing: the watched program pays for every line here."""
