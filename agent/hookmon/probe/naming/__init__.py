"""Span templates at work: what a call is called."""
