"""Copies of an index: pushed to an object store, pulled by machines that serve it."""
