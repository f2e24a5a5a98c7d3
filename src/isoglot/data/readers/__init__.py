"""Rows from the files of other projects."""
