"""One room per capability. Families are strangers to each other."""
