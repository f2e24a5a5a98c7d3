"""Filters: conditions on language, source, document, and any metadata field of a passage."""
