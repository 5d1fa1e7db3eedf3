-- Stores a batch, each event once (see usage.store.writer). Where it cannot, it changes nothing and gives the reason:
-- `stored` is false, and the caller asks again without the events and claims that are `known`, with the sums split at
-- the floors of `state`.
--
-- A batch is an array of rows for each table, of the types below. Records, claims and `claimed` come distinct and
-- sorted, sums sorted by grain, bucket and dimension, so that two batches that share rows wait for each other in one
-- order and cannot deadlock. Texts come as columns beside their records. NaN is NULL; an empty array of texts is a
-- column of NULLs. Times are epoch seconds. A place counts from 1.
CREATE TYPE usage_batch_receipt AS (
    id uuid, received double precision, sender bigint, workspace bigint, accepted bigint, duplicates bigint,
    rejected bigint, reasons jsonb, bytes bigint, seconds double precision, finished double precision
);
-- `source` and `overflow` are places in the distinct texts `sources` and `overflows`.
CREATE TYPE usage_batch_record AS (
    event uuid, at double precision, dimension bigint, prompt_tokens double precision,
    completion_tokens double precision, cached_tokens double precision, reasoning_tokens double precision,
    cost_usd double precision, duration_seconds double precision, rate_limit_delay_seconds double precision,
    value double precision, source bigint, overflow bigint
);
-- The span that a record describes (see usage.store.span_claims).
CREATE TYPE usage_batch_claim AS (claim uuid, event uuid, at double precision);
-- Grain in seconds (0: totals), and the slice of `measures`.
CREATE TYPE usage_batch_sum AS (grain bigint, bucket bigint, dimension bigint, first bigint, last bigint);
-- The last sample of a gauge in a bucket.
CREATE TYPE usage_batch_gauge AS (bucket bigint, dimension bigint, at double precision, value double precision);
-- A counter that began earlier than was known.
CREATE TYPE usage_batch_start AS (dimension bigint, at double precision);

CREATE FUNCTION usage_store(
    lock bigint, wait text, floors double precision[], claimed uuid[], receipt usage_batch_receipt,
    records usage_batch_record[], traces text[], spans text[], attributes text[], sources text[], overflows text[],
    by_spans boolean, claims usage_batch_claim[], sums usage_batch_sum[], measures double precision[],
    gauges usage_batch_gauge[], starts usage_batch_start[], late_kinds text[] DEFAULT '{}',
    late_first double precision[] DEFAULT '{}',
    OUT stored boolean, OUT state usage_watermark, OUT known uuid[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('lock_timeout', wait, true), pg_advisory_xact_lock_shared(lock);
    SELECT e.* INTO state FROM usage_watermark e;
    stored := floors = ARRAY[
        extract(epoch FROM state.floor_15s)::float8, extract(epoch FROM state.floor_5m)::float8,
        extract(epoch FROM state.floor_1h)::float8
    ];
    IF NOT stored THEN
        RETURN;
    END IF;
    BEGIN
        stored := state.generation = 0 OR NOT EXISTS (
            SELECT FROM usage_event_seen s WHERE s.event_id = ANY (claimed) AND s.generation < state.generation
        );
        IF NOT stored THEN
            RAISE unique_violation;
        END IF;
        IF cardinality(claims) > 0 THEN
            INSERT INTO usage_span_seen (claim, at, by_span)
            SELECT g.claim, to_timestamp(g.at), by_spans FROM unnest(claims) AS g
            ON CONFLICT DO NOTHING;
            -- Another transaction's claim has been waited for: it is seen now.
            stored := NOT EXISTS (
                SELECT FROM unnest(claims) AS g JOIN usage_span_seen s ON s.claim = g.claim AND s.by_span <> by_spans
                AND s.at BETWEEN to_timestamp(g.at) - interval '1 day' AND to_timestamp(g.at) + interval '1 day'
            );
            IF NOT stored THEN
                RAISE unique_violation;
            END IF;
        END IF;
        INSERT INTO usage_event_seen (generation, event_id) SELECT state.generation, unnest(claimed);
        INSERT INTO usage_record (
            event_id, at, received_at, receipt, workspace_id, key_id, dimension_id, trace_id, span_id, prompt_tokens,
            completion_tokens, cached_tokens, reasoning_tokens, cost_usd, duration_seconds, rate_limit_delay_seconds,
            value, price_source, attributes, overflow
        )
        SELECT r.event, to_timestamp(r.at), to_timestamp(receipt.received), receipt.id, receipt.workspace,
            receipt.sender, r.dimension, coalesce(r.trace, ''), coalesce(r.span, ''),
            nullif(r.prompt_tokens, 'NaN')::bigint, nullif(r.completion_tokens, 'NaN')::bigint,
            nullif(r.cached_tokens, 'NaN')::bigint, nullif(r.reasoning_tokens, 'NaN')::bigint,
            nullif(r.cost_usd, 'NaN'), nullif(r.duration_seconds, 'NaN'), nullif(r.rate_limit_delay_seconds, 'NaN'),
            nullif(r.value, 'NaN'), sources[r.source], nullif(r.attribute, '')::jsonb,
            nullif(overflows[r.overflow], '')::jsonb
        FROM unnest(records, traces, spans, attributes) AS r (
            event, at, dimension, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_usd,
            duration_seconds, rate_limit_delay_seconds, value, source, overflow, trace, span, attribute
        );
    EXCEPTION WHEN unique_violation THEN
        stored := false;
        SELECT array_agg(id) INTO known FROM (
            SELECT s.event_id FROM usage_event_seen s WHERE s.event_id = ANY (claimed) AND s.generation <= state.generation
            UNION ALL
            SELECT g.event FROM unnest(claims) AS g
            JOIN usage_span_seen s ON s.claim = g.claim AND s.by_span <> by_spans
            AND s.at BETWEEN to_timestamp(g.at) - interval '1 day' AND to_timestamp(g.at) + interval '1 day'
            UNION ALL
            SELECT given.event FROM unnest(records) AS given, LATERAL (
                SELECT to_timestamp(floor(given.at / 86400) * 86400) AS midnight
            ) AS day
            WHERE EXISTS (
                SELECT FROM usage_record r WHERE r.event_id = given.event AND r.workspace_id = receipt.workspace
                AND r.at >= midnight AND r.at < midnight + interval '24 hours'
            )
        ) AS found (id);
        RETURN;
    END;
    INSERT INTO usage_receipt (
        id, received_at, key_id, workspace_id, state, accepted, duplicates, rejected, reasons, body_bytes, seconds, stored_at
    ) VALUES (
        receipt.id, to_timestamp(receipt.received), receipt.sender, receipt.workspace, 'stored', receipt.accepted,
        receipt.duplicates, receipt.rejected, receipt.reasons, receipt.bytes, receipt.seconds,
        to_timestamp(receipt.finished)
    ) ON CONFLICT (id, received_at) DO UPDATE SET
        state = excluded.state, accepted = excluded.accepted, duplicates = excluded.duplicates,
        rejected = excluded.rejected, reasons = excluded.reasons, seconds = excluded.seconds,
        stored_at = excluded.stored_at
    WHERE usage_receipt.state <> 'stored';

    IF EXISTS (SELECT FROM unnest(sums) AS s WHERE s.grain = 300) THEN
        INSERT INTO usage_rollup_5m AS r (bucket, dimension_id, measures)
        SELECT to_timestamp(s.bucket), s.dimension, usage_store.measures[s.first:s.last] FROM unnest(sums) AS s
        WHERE s.grain = 300
        ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures);
    END IF;
    IF EXISTS (SELECT FROM unnest(sums) AS s WHERE s.grain = 3600) THEN
        INSERT INTO usage_rollup_1h AS r (bucket, dimension_id, measures)
        SELECT to_timestamp(s.bucket), s.dimension, usage_store.measures[s.first:s.last] FROM unnest(sums) AS s
        WHERE s.grain = 3600
        ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures);
    END IF;
    IF cardinality(gauges) > 0 THEN
        INSERT INTO usage_gauge_sample AS g (bucket, dimension_id, at, value)
        SELECT to_timestamp(t.bucket), t.dimension, to_timestamp(t.at), t.value FROM unnest(gauges) AS t
        ON CONFLICT (dimension_id, bucket) DO UPDATE SET at = excluded.at, value = excluded.value
        WHERE excluded.at >= g.at;
    END IF;
    IF cardinality(starts) > 0 THEN
        UPDATE usage_dimension d SET first_at = to_timestamp(t.at) FROM unnest(starts) AS t
        WHERE d.id = t.dimension AND d.first_at > to_timestamp(t.at);
    END IF;
    IF cardinality(late_kinds) > 0 THEN
        INSERT INTO usage_latearrival (workspace_id, kind, first_at)
        SELECT receipt.workspace, l.kind, to_timestamp(l.first) FROM unnest(late_kinds, late_first) AS l (kind, first);
    END IF;
    INSERT INTO usage_dirtybucket (bucket, claimed)
    SELECT DISTINCT to_timestamp(s.bucket / 300 * 300), false FROM unnest(sums) AS s WHERE s.grain IN (15, 300)
    ORDER BY 1
    ON CONFLICT DO NOTHING;
    INSERT INTO usage_rollup_15s AS r (bucket, dimension_id, measures)
    SELECT to_timestamp(s.bucket), s.dimension, usage_store.measures[s.first:s.last] FROM unnest(sums) AS s
    WHERE s.grain = 15
    ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures);
    INSERT INTO usage_total AS r (dimension_id, measures)
    SELECT s.dimension, usage_store.measures[s.first:s.last] FROM unnest(sums) AS s WHERE s.grain = 0
    ON CONFLICT (dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures);
END
$$;
