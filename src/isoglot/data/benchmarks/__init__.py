"""Benchmarks: queries, candidates and relevance judgements, read from the field's common layouts."""
