"""A machine in which a simulated driver runs, and the DMA interfaces it is written against."""
