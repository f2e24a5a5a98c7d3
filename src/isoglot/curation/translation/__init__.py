"""Machine translation of rows into the languages that their groups lack."""
