"""A simulated HCA, and a small verbs driver for it."""
