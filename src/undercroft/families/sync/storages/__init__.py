"""Where files are kept: one file per kind of storage."""
