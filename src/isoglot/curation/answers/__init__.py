"""Answers of language models and translators: paid for once, kept by content, checked."""
