"""What stands between and around vectors: operators, matching, aggregations."""
