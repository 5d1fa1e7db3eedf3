-- The next generation's partition.
CREATE FUNCTION usage_add_generation(number integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE usage_event_seen_%1$s PARTITION OF usage_event_seen FOR VALUES IN (%1$s)', number);
    EXECUTE format('CREATE UNIQUE INDEX ON usage_event_seen_%1$s (event_id)', number);
END
$$;

INSERT INTO usage_watermark (generation, generation_at, floor_15s, floor_5m, floor_1h)
VALUES (0, now(), '-infinity', '-infinity', '-infinity');
SELECT usage_add_generation(0);
