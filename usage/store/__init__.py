"""4-5: what is kept in Postgres: raw rows, rollups, totals; for how long, and the chunks that make reading fast."""
