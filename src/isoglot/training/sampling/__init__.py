"""Every regime from one plan of batches."""
