"""Wiring: readers, rules, engine and findings put together. No logic of its own."""
