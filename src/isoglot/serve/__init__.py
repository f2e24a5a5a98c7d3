"""A server for indexes: a page for people and a JSON API for programs (needs the extra `serve`)."""
