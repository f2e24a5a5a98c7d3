"""Parallel rows in, integer tables and benchmarks out."""
