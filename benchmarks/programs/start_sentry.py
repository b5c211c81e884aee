"""Runs a program with sentry-sdk initialised, which has no launcher of its own: `start_sentry.py PROGRAM ARGUMENTS`."""

import os
import runpy
import sys

import sentry_sdk

sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0)
del sys.argv[0]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
