"""The process of one entry: it scans and watches one storage and carries out operations on it."""
