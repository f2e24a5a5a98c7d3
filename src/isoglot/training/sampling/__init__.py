"""Batch sampling: one sampler for every regime."""
