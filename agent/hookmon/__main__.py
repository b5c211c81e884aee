"""`python -m hookmon`: the command line, where its script is not on PATH, or Python is to be given options (`-I`)."""

from hookmon.cli.main import main

main()
