CREATE TABLE usage_record (
    -- Ids of rows need not be without gaps: a session takes many at a time, so that not each row goes to the sequence.
    id bigint GENERATED ALWAYS AS IDENTITY (CACHE 500),
    event_id uuid NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    receipt uuid NOT NULL,
    workspace_id bigint,
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

-- Which spans have been counted (by_span), or named by a usage record: what one describes the other does not count again. A claim stands for
-- workspace, trace, span and kind; unique within a day of the call's time by an index of each partition.
CREATE TABLE usage_span_seen (
    claim uuid NOT NULL,
    at timestamptz NOT NULL,
    by_span boolean NOT NULL
) PARTITION BY RANGE (at);

-- Unique within a generation: each partition has an index on event_id alone (a key of the whole table would need the generation
-- in it, and a wider index). usage_store sees to older generations.
CREATE TABLE usage_event_seen (
    generation integer NOT NULL,
    event_id uuid NOT NULL
) PARTITION BY LIST (generation);

CREATE TABLE usage_rollup_15s (
    id bigint GENERATED ALWAYS AS IDENTITY (CACHE 100),
    bucket timestamptz NOT NULL,
    dimension_id bigint NOT NULL,
    measures double precision[] NOT NULL,
    PRIMARY KEY (bucket, dimension_id)
) PARTITION BY RANGE (bucket);
CREATE TABLE usage_rollup_5m (LIKE usage_rollup_15s INCLUDING ALL) PARTITION BY RANGE (bucket);
CREATE TABLE usage_rollup_1h (LIKE usage_rollup_15s INCLUDING ALL) PARTITION BY RANGE (bucket);

-- The 15 s rollups of a bucket of 5 minutes that is over, a chunk per measure and block of dimensions (usage.store.chunks).
CREATE TABLE usage_chunk_15s (
    kind text NOT NULL,
    measure smallint NOT NULL,
    bucket timestamptz NOT NULL,
    block bigint NOT NULL,
    itemsize smallint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (kind, measure, bucket, block)
) PARTITION BY RANGE (bucket);
-- The entries are small already; to compress them takes longer than to read them.
ALTER TABLE usage_chunk_15s ALTER COLUMN data SET STORAGE EXTERNAL;

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
    stored_at timestamptz,
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);
CREATE INDEX usage_receipt_newest ON usage_receipt (received_at DESC);
