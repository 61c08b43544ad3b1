"""Drivers to simulate: good ones and bad ones, a few to a file."""
