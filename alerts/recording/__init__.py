"""What recording rules make: series of their own, kept as rows per slot, that rules,
Explore and the API read like any other."""
