"""Requests to language models and translators: answers are paid for once, cached by content, and checked."""
