"""Copies of an index: pushed to an object store, and pulled by the machines that serve it."""
