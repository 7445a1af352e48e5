"""Undercroft measured beside its peers, in alternation in one run: `python -m benchmarks timers`."""
