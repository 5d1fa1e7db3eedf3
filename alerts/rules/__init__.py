"""Rules: what they say, how they are written, checked and edited, and those that ship."""
