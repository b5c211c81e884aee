"""TOML in, checked watches out. Runs before the program starts."""
