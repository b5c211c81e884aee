"""Services: runs of one name over weeks, minute by minute. See `store`, and docs/architecture.md."""
