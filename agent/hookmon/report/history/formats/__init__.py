"""One module for each format of days, found by listing."""
