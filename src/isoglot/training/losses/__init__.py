"""Losses, and the batches of vectors that they are computed on."""
