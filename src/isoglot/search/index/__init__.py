"""Collections as searchable folders: documents read, split, encoded, and stored in LanceDB."""
