"""Conditions on what a passage is besides its words: language, source, document, and any field of its metadata."""
