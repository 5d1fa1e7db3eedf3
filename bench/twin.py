"""The table that raw COPY writes to where ingest is compared with it: like ours, with its indexes and one partition."""

from __future__ import annotations

import psycopg

from core.pg.partitions import Partitioned


def make_twin(url: str, name: str, of: Partitioned, by: str) -> None:
    """Make the table `name` like `of`, partitioned by the column `by`."""
    with psycopg.connect(url) as connection:
        connection.execute(
            f"CREATE TABLE {name} (LIKE {of.table} INCLUDING DEFAULTS INCLUDING INDEXES) PARTITION BY RANGE ({by})"
        )
        connection.execute(f"CREATE TABLE {name}_all PARTITION OF {name} DEFAULT")
        connection.execute(f"CREATE UNIQUE INDEX ON {name}_all ({of.unique})")
