"""Sentences with their translations, out of translation memories and the files that translators work in."""
