"""What both sides of the process boundary share. Standard library only, nothing heavy."""
