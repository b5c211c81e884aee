"""Requests, jobs and tests: what belongs to one, what it is called and how it ends."""
