"""Holds the sitecustomize.py that `hookmon run` puts first on PYTHONPATH; never imported as a package."""
