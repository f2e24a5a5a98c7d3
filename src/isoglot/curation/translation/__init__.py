"""Rows in the languages that their groups lack, by machine translation."""
