"""HTTP to the outside."""
