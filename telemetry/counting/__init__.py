"""Which spans, data points and callbacks become which usage records, each piece of work exactly once."""
