"""Run file in, plain rows out, then screens and export formats."""
