"""All that runs inside the watched program."""
