"""The pages of data: ingestion, keys, prices."""
