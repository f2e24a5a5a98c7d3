"""Read rows from the files of other projects."""
