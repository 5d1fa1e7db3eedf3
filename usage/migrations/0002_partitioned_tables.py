"""The tables that grow with time, the sum of two rows of measures, and the one row of the epoch.

Partitions are made by usage.partitions. None of these tables references another: a check per row would cost more than it proves,
as rows are only written by usage.store, which has just read or made what they point at.
"""

from django.db import migrations

FORWARD = """
CREATE TABLE usage_record (
    id bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    receipt uuid NOT NULL,
    key_id bigint,
    dimension_id bigint NOT NULL,
    trace_id text NOT NULL DEFAULT '',
    span_id text NOT NULL DEFAULT '',
    prompt_tokens bigint,
    completion_tokens bigint,
    cached_tokens bigint,
    reasoning_tokens bigint,
    cost_usd double precision,
    price_source text NOT NULL DEFAULT '',
    duration_seconds double precision,
    rate_limit_delay_seconds double precision,
    value double precision,
    attributes jsonb,
    overflow jsonb
) PARTITION BY RANGE (at);
-- Pages ask for the newest records, mostly of a range of time, which rows follow as they arrive: BRIN costs next to nothing.
CREATE INDEX usage_record_at ON usage_record USING brin (at) WITH (autosummarize = on);
-- A trace's records, for the few that carry one.
CREATE INDEX usage_record_trace ON usage_record (trace_id) WHERE trace_id <> '';

-- Unique within a generation: each partition has an index on event_id alone (a key of the whole table would need the generation
-- in it, and a wider index). usage_claim sees to older generations.
CREATE TABLE usage_event_seen (
    generation integer NOT NULL,
    event_id uuid NOT NULL
) PARTITION BY LIST (generation);

CREATE TABLE usage_rollup_15s (
    id bigint GENERATED ALWAYS AS IDENTITY,
    bucket timestamptz NOT NULL,
    dimension_id bigint NOT NULL,
    measures double precision[] NOT NULL,
    PRIMARY KEY (bucket, dimension_id)
) PARTITION BY RANGE (bucket);
CREATE TABLE usage_rollup_5m (LIKE usage_rollup_15s INCLUDING ALL) PARTITION BY RANGE (bucket);
CREATE TABLE usage_rollup_1h (LIKE usage_rollup_15s INCLUDING ALL) PARTITION BY RANGE (bucket);

CREATE TABLE usage_gauge_sample (
    id bigint GENERATED ALWAYS AS IDENTITY,
    bucket timestamptz NOT NULL,
    dimension_id bigint NOT NULL,
    at timestamptz NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (dimension_id, bucket)
) PARTITION BY RANGE (bucket);

CREATE TABLE usage_receipt (
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    key_id bigint,
    workspace_id bigint,
    state text NOT NULL,
    accepted integer NOT NULL,
    duplicates integer NOT NULL,
    rejected integer NOT NULL,
    reasons jsonb NOT NULL,
    body_bytes integer NOT NULL,
    seconds double precision NOT NULL,
    stored_at timestamptz NOT NULL,
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);
CREATE INDEX usage_receipt_newest ON usage_receipt (received_at DESC);

-- The sum of two rows of measures; the shorter one is filled with zeros. Most slots of a batch's rows are 0: a loop that passes
-- over them takes a third of the time that unnest and array_agg take.
CREATE FUNCTION usage_add(a double precision[], b double precision[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF cardinality(a) < cardinality(b) THEN
        a := a || array_fill(0::double precision, ARRAY[cardinality(b) - cardinality(a)]);
    END IF;
    FOR i IN 1..cardinality(b) LOOP
        IF b[i] <> 0 THEN
            a[i] := a[i] + b[i];
        END IF;
    END LOOP;
    RETURN a;
END
$$;

-- The next generation's partition.
CREATE FUNCTION usage_add_generation(number integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE usage_event_seen_%1$s PARTITION OF usage_event_seen FOR VALUES IN (%1$s)', number);
    EXECUTE format('CREATE UNIQUE INDEX ON usage_event_seen_%1$s (event_id)', number);
END
$$;

-- Joins the epoch (see usage.epoch) and claims the event ids that are new, in one round trip. `fresh` is NULL where all are,
-- which is the rule and takes a plain insert; ids come sorted, so that two batches that share events wait for each other in one
-- order and cannot deadlock.
CREATE FUNCTION usage_claim(
    lock bigint, timeout text, ids uuid[], OUT state usage_epoch, OUT fresh uuid[]
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('statement_timeout', timeout, true), pg_advisory_xact_lock_shared(lock);
    SELECT e.* INTO state FROM usage_epoch e;
    IF NOT EXISTS (SELECT FROM usage_event_seen s WHERE s.event_id = ANY (ids) AND s.generation < state.generation) THEN
        BEGIN
            EXECUTE format('INSERT INTO usage_event_seen_%s SELECT %s, unnest($1)', state.generation, state.generation) USING ids;
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            -- Some were there, or another batch that has just committed brought them.
        END;
    END IF;
    WITH added AS (
        INSERT INTO usage_event_seen
        SELECT state.generation, given.id FROM unnest(ids) AS given (id)
        WHERE NOT EXISTS (SELECT FROM usage_event_seen s WHERE s.event_id = given.id AND s.generation < state.generation)
        ON CONFLICT DO NOTHING RETURNING event_id
    )
    SELECT coalesce(array_agg(event_id), '{}') INTO fresh FROM added;
END
$$;

INSERT INTO usage_epoch (generation, generation_at, floor_15s, floor_5m, floor_1h)
VALUES (0, now(), '-infinity', '-infinity', '-infinity');
SELECT usage_add_generation(0);
"""

BACKWARD = """
DROP FUNCTION usage_add, usage_add_generation, usage_claim;
DROP TABLE usage_record, usage_event_seen, usage_rollup_15s, usage_rollup_5m, usage_rollup_1h, usage_gauge_sample, usage_receipt;
DELETE FROM usage_epoch;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_tables")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
