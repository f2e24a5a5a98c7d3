"""Build and update an index folder: documents are read, split, encoded, and stored in LanceDB."""
