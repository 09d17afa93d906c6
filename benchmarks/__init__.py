"""Paired measurements: what is fast here, and against what."""
