"""Records in, Postgres, series out."""
