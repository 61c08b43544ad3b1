"""Read recordings: bytes in, batches of events out."""
