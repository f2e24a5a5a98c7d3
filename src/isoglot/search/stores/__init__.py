"""Places that indexes are kept in, by name: folders, memory, a vector database."""
