"""Foundations of all rooms: errors, atomic files, progress, run records, the cache folder."""
