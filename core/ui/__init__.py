"""What every page shares: numbers, spans and ranges of time as people write them."""
