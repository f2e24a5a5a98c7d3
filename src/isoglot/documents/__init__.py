"""Files that people have, as documents: title, text, language, and where they came from."""
