"""What a batch is trained towards."""
