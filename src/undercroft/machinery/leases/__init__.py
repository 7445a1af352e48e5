"""Leases: named possessions, timed and fenced. Locks are a wire format over them; the house uses them for itself."""
