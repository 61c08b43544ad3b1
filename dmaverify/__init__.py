"""dmaverify: Driver Verifier for recordings of DMA activity."""
