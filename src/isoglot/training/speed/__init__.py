"""Optimisations that make a training step cheaper without changing its result."""
