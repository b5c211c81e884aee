"""Finds and merges shards, samples processes, keeps the run file. Runs in the launcher."""
