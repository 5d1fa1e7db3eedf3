"""6: series read off what is stored, as a server would have scraped them, or asked of another server."""
