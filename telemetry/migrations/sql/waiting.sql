-- The request that brought a span; while a row of telemetry_waiting has the same, what the span became is not decided.
ALTER TABLE telemetry_span ADD COLUMN receipt uuid;

-- The usage that the spans of a request may be, until spans that may tell of the same calls have had time to arrive (telemetry.deciding).
CREATE TABLE telemetry_waiting (
    receipt uuid PRIMARY KEY,
    since timestamptz NOT NULL,
    data bytea NOT NULL
);
CREATE INDEX telemetry_waiting_since ON telemetry_waiting (since);
-- It is read once and soon gone: to compress it costs more than to write it.
ALTER TABLE telemetry_waiting ALTER COLUMN data SET STORAGE EXTERNAL;
