"""2-3: records as clients send them, as columns, and what they cost."""
