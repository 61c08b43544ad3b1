"""The shared nouns: events, programs, hits and findings. Imports nothing but errors."""
