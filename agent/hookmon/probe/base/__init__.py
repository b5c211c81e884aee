"""What all of the probe may use: guards against and towards the program, its objects read without running its code."""
