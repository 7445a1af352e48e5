"""The works that are measured; each is a file with its TITLE and `run(bench) -> Report`."""
