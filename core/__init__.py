"""What every part of the portal stands on: accounts, outbound HTTP, Postgres, the words of pages. Knows no part by
name."""
