"""The REST API as a whole: its router, its OpenAPI schema and the pages that show it."""
