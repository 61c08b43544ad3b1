"""Tests of the simulated HCA."""
