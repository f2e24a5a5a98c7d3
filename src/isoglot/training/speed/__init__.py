"""What makes a training step cheaper and leaves its result alone."""
