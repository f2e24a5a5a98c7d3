"""Places that hold an index, by name: folders, memory, vector databases, object stores."""
