"""What a run has counted, for the backends that people have: OTLP and Prometheus.

In: snapshots of a run that goes on. Out: cumulative metrics. Runs in the launcher, in threads of its own, or in a process of its
own (`hookmon export`); never in the program. Libraries of the extra `hookmon[export]` are imported where they are used.
"""
