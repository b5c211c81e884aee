"""What takes the place of a callable, and which wrapper it is for each; those of the compiled engine are in C."""
