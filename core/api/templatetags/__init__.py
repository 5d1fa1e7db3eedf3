"""Template tags of the REST API."""
