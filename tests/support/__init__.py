"""Shared test support: tiny models, rows, collections and servers."""
