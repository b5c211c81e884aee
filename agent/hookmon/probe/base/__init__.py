"""What all rooms of the probe may use: guards between it and the program, and ways to read objects without running code."""
