"""Builders of files that tests read."""
