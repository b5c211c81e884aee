"""One TOML file for each library, found by listing; an odd library has a small adapter beside it."""
