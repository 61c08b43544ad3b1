"""Turn groups of hits into findings: what was seen, with its proof. Draws nothing."""
