"""What every room above may use: refusals, the clock, ids. Standard library only."""
