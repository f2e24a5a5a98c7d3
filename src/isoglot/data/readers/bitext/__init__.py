"""Read sentences with their translations from translation memories and translators' file formats."""
