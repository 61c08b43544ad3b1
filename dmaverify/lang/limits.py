"""Bounds of the rule language that more than the compiler has to know."""

MAX_FILE_BYTES = 1 << 20
