"""Who changed what, when, from where and by which way: one append-only line per change, written in the change's own
transaction."""
