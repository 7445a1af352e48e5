"""Mail that leaves the house: checked, kept once, and one delivery for each of its recipients."""
