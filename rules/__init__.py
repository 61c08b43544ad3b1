"""The rule catalogue, shipped as data."""
