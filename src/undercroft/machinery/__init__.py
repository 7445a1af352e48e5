"""What the families share; it knows none of them."""
