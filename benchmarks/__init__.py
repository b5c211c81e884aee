"""What hookmon and others cost, side by side in one run: `python -m benchmarks`."""
