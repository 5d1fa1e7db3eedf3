-- The sum of two rows of measures; the shorter one is filled with zeros. Most offsets of a batch's rows are 0: a loop that passes
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
