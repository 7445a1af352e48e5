"""Processes that are kept running: what is wanted, what runs, and what to do about the difference."""
