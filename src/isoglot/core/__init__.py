"""What every room stands on: errors, atomic files, progress, run records, the cache folder."""
