"""What counts: the call tree, lanes and the shard that they are written to."""
