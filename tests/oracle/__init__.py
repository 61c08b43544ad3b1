"""Slow twins of fast parts: plain Python, written from the documents alone."""
