"""Documentation that exists in several languages, as parallel rows."""
