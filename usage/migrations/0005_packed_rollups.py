"""The 15 s rollups, packed by measure (usage.packed). What there is already is marked, so that the next coarsening packs it."""

from django.db import migrations

FORWARD = """
CREATE TABLE usage_packed_15s (
    kind text NOT NULL,
    slot smallint NOT NULL,
    bucket timestamptz NOT NULL,
    block bigint NOT NULL,
    itemsize smallint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (kind, slot, bucket, block)
) PARTITION BY RANGE (bucket);
-- The entries are small already; to compress them takes longer than to read them.
ALTER TABLE usage_packed_15s ALTER COLUMN data SET STORAGE EXTERNAL;

INSERT INTO usage_dirtybucket (bucket, claimed)
SELECT DISTINCT date_bin('5 minutes', bucket, 'epoch'), false FROM usage_rollup_15s ON CONFLICT DO NOTHING;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0004_demo_traffic")]
    operations = [migrations.RunSQL(FORWARD, "DROP TABLE usage_packed_15s")]
