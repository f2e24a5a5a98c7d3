"""Questions for passages, asked by a language model."""
