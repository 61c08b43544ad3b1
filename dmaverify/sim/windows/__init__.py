"""Windows' DMA interfaces over the simulated machine, under the WDK's names."""
