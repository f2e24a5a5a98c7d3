"""Turn documentation that exists in several languages into parallel rows."""
