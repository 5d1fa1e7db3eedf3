-- Stores a batch, each event once (see usage.store.writer). Where it cannot, it changes nothing and gives the reason: `stored` is false, and the
-- caller asks again without the events and claims that are `known`, with the sums split at the floors of `state`.
--
-- Claims and events come distinct and sorted, sums sorted by grain, bucket and owner, so that two batches that share rows wait for each
-- other in one order and cannot deadlock. NaN is NULL; an empty array is a column of NULLs. A place counts from 1.
CREATE FUNCTION usage_store(
    lock bigint, wait text, floors double precision[], claimed uuid[],
    -- the receipt
    receipt uuid, received double precision, sender bigint, workspace bigint, accepted bigint, duplicates bigint, rejected bigint,
    reasons jsonb, bytes bigint, seconds double precision, finished double precision,
    -- the records
    events uuid[], times double precision[], dimensions bigint[], traces text[], spans text[],
    prompt_tokens double precision[], completion_tokens double precision[], cached_tokens double precision[],
    reasoning_tokens double precision[], cost_usd double precision[], duration_seconds double precision[],
    rate_limit_delay_seconds double precision[], value double precision[],
    sources text[], source_places bigint[], attributes text[], overflows text[], overflow_places bigint[],
    -- the spans that they describe (usage.store.span_claims)
    by_spans boolean, span_claims uuid[], claim_events uuid[], claim_times double precision[],
    -- the sums: grain in seconds (0: totals), bucket in epoch seconds, dimension, and the slice of `measures`
    grains bigint[], buckets bigint[], owners bigint[], firsts bigint[], lasts bigint[], measures double precision[],
    -- the gauges' last samples, and counters that began earlier than was known
    gauge_buckets bigint[], gauges bigint[], gauge_times double precision[], gauge_values double precision[],
    earlier bigint[], earlier_times double precision[],
    OUT stored boolean, OUT state usage_watermark, OUT known uuid[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('lock_timeout', wait, true), pg_advisory_xact_lock_shared(lock);
    SELECT e.* INTO state FROM usage_watermark e;
    stored := floors = ARRAY[
        extract(epoch FROM state.floor_15s)::float8, extract(epoch FROM state.floor_5m)::float8, extract(epoch FROM state.floor_1h)::float8
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
        IF cardinality(span_claims) > 0 THEN
            INSERT INTO usage_span_seen (claim, at, by_span)
            SELECT c, to_timestamp(t), by_spans FROM unnest(span_claims, claim_times) AS g (c, t)
            ON CONFLICT DO NOTHING;
            -- Another transaction's claim has been waited for: it is seen now.
            stored := NOT EXISTS (
                SELECT FROM unnest(span_claims, claim_times) AS g (c, t) JOIN usage_span_seen s ON s.claim = g.c AND s.by_span <> by_spans
                AND s.at BETWEEN to_timestamp(g.t) - interval '1 day' AND to_timestamp(g.t) + interval '1 day'
            );
            IF NOT stored THEN
                RAISE unique_violation;
            END IF;
        END IF;
        INSERT INTO usage_event_seen (generation, event_id) SELECT state.generation, unnest(claimed);
        INSERT INTO usage_record (
            event_id, at, received_at, receipt, workspace_id, key_id, dimension_id, trace_id, span_id, prompt_tokens, completion_tokens, cached_tokens,
            reasoning_tokens, cost_usd, duration_seconds, rate_limit_delay_seconds, value, price_source, attributes, overflow
        )
        SELECT events[n], to_timestamp(times[n]), to_timestamp(received), usage_store.receipt, workspace, sender, dimensions[n],
            coalesce(trace, ''), coalesce(span, ''), nullif(usage_store.prompt_tokens[n], 'NaN')::bigint,
            nullif(usage_store.completion_tokens[n], 'NaN')::bigint, nullif(usage_store.cached_tokens[n], 'NaN')::bigint,
            nullif(usage_store.reasoning_tokens[n], 'NaN')::bigint, nullif(usage_store.cost_usd[n], 'NaN'),
            nullif(usage_store.duration_seconds[n], 'NaN'), nullif(usage_store.rate_limit_delay_seconds[n], 'NaN'),
            nullif(usage_store.value[n], 'NaN'), sources[source], nullif(attribute, '')::jsonb, nullif(overflows[overflow_places[n]], '')::jsonb
        -- Elements of one size are found at once where they are; to unnest all of the columns took half the time of the insert.
        FROM unnest(source_places, traces, spans, attributes) WITH ORDINALITY AS r (source, trace, span, attribute, n);
    EXCEPTION WHEN unique_violation THEN
        stored := false;
        SELECT array_agg(id) INTO known FROM (
            SELECT s.event_id FROM usage_event_seen s WHERE s.event_id = ANY (claimed) AND s.generation <= state.generation
            UNION ALL
            SELECT g.event FROM unnest(span_claims, claim_events, claim_times) AS g (c, event, t)
            JOIN usage_span_seen s ON s.claim = g.c AND s.by_span <> by_spans
            AND s.at BETWEEN to_timestamp(g.t) - interval '1 day' AND to_timestamp(g.t) + interval '1 day'
            UNION ALL
            SELECT given.id FROM unnest(events, times) AS given (id, at), LATERAL (
                SELECT to_timestamp(floor(given.at / 86400) * 86400) AS midnight
            ) AS day
            WHERE EXISTS (
                SELECT FROM usage_record r WHERE r.event_id = given.id AND r.workspace_id = workspace
                AND r.at >= midnight AND r.at < midnight + interval '24 hours'
            )
        ) AS found (id);
        RETURN;
    END;
    INSERT INTO usage_receipt (
        id, received_at, key_id, workspace_id, state, accepted, duplicates, rejected, reasons, body_bytes, seconds, stored_at
    ) VALUES (
        usage_store.receipt, to_timestamp(received), sender, workspace, 'stored', usage_store.accepted, usage_store.duplicates,
        usage_store.rejected, usage_store.reasons, bytes, usage_store.seconds, to_timestamp(finished)
    ) ON CONFLICT (id, received_at) DO UPDATE SET
        state = excluded.state, accepted = excluded.accepted, duplicates = excluded.duplicates, rejected = excluded.rejected,
        reasons = excluded.reasons, seconds = excluded.seconds, stored_at = excluded.stored_at
    WHERE usage_receipt.state <> 'stored';

    IF 300 = ANY (grains) THEN
        INSERT INTO usage_rollup_5m AS r (bucket, dimension_id, measures)
        SELECT to_timestamp(b), d, usage_store.measures[f:l] FROM unnest(grains, buckets, owners, firsts, lasts) AS s (g, b, d, f, l)
        WHERE g = 300
        ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures);
    END IF;
    IF 3600 = ANY (grains) THEN
        INSERT INTO usage_rollup_1h AS r (bucket, dimension_id, measures)
        SELECT to_timestamp(b), d, usage_store.measures[f:l] FROM unnest(grains, buckets, owners, firsts, lasts) AS s (g, b, d, f, l)
        WHERE g = 3600
        ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures);
    END IF;
    IF cardinality(gauges) > 0 THEN
        INSERT INTO usage_gauge_sample AS g (bucket, dimension_id, at, value)
        SELECT to_timestamp(b), d, to_timestamp(a), v FROM unnest(gauge_buckets, gauges, gauge_times, gauge_values) AS t (b, d, a, v)
        ON CONFLICT (dimension_id, bucket) DO UPDATE SET at = excluded.at, value = excluded.value WHERE excluded.at >= g.at;
    END IF;
    IF cardinality(earlier) > 0 THEN
        UPDATE usage_dimension d SET first_at = to_timestamp(t.at) FROM unnest(earlier, earlier_times) AS t (id, at)
        WHERE d.id = t.id AND d.first_at > to_timestamp(t.at);
    END IF;
    INSERT INTO usage_dirtybucket (bucket, claimed)
    SELECT DISTINCT to_timestamp(b / 300 * 300), false FROM unnest(grains, buckets) AS s (g, b) WHERE g IN (15, 300) ORDER BY 1
    ON CONFLICT DO NOTHING;
    INSERT INTO usage_rollup_15s AS r (bucket, dimension_id, measures)
    SELECT to_timestamp(b), d, usage_store.measures[f:l] FROM unnest(grains, buckets, owners, firsts, lasts) AS s (g, b, d, f, l)
    WHERE g = 15
    ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures);
    INSERT INTO usage_total AS r (dimension_id, measures)
    SELECT d, usage_store.measures[f:l] FROM unnest(grains, owners, firsts, lasts) AS s (g, d, f, l) WHERE g = 0
    ON CONFLICT (dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures);
END
$$;
