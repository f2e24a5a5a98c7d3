"""Benchmarks: queries, candidates and relevance, from the layouts that the field shares."""
