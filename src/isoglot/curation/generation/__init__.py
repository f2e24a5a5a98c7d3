"""Generate questions for passages with a language model."""
