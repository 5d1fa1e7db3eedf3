-- A span, once per workspace. Ids are OpenTelemetry's: 16 bytes as uuid, 8 bytes as (signed) bigint; text shows them in hex.
CREATE TABLE telemetry_span (
    workspace_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    parent_span_id bigint,
    start timestamptz NOT NULL,
    duration double precision NOT NULL,
    span_kind smallint NOT NULL,
    status smallint NOT NULL,
    name text NOT NULL,
    service text NOT NULL DEFAULT '',
    scope text NOT NULL DEFAULT '',
    status_message text NOT NULL DEFAULT '',
    -- What the span means (telemetry.conventions): llm, tool, agent, gateway, server, or empty.
    kind text NOT NULL DEFAULT '',
    operation text NOT NULL DEFAULT '',
    provider text NOT NULL DEFAULT '',
    model text NOT NULL DEFAULT '',
    agent text NOT NULL DEFAULT '',
    tool text NOT NULL DEFAULT '',
    team text NOT NULL DEFAULT '',
    component text NOT NULL DEFAULT '',
    session text NOT NULL DEFAULT '',
    user_id text NOT NULL DEFAULT '',
    error_type text NOT NULL DEFAULT '',
    input_tokens bigint,
    output_tokens bigint,
    cached_tokens bigint,
    reasoning_tokens bigint,
    cost_usd double precision,
    -- The usage event that the span became, and of which kind; or why it became none.
    counted_kind text NOT NULL DEFAULT '',
    counted_event uuid,
    not_counted text NOT NULL DEFAULT '',
    attributes jsonb,
    resource jsonb,
    events jsonb,
    links jsonb,
    -- How many attributes were content (prompts, completions, headers), and these where content is kept: for operators only.
    dropped integer NOT NULL DEFAULT 0,
    content jsonb
) PARTITION BY RANGE (start);

-- A trace in short, for lists: it changes with each batch of its spans, whose transactions its row lock puts in order.
-- Not partitioned: a trace has one row whatever days its spans lie in, and most rows go with what sampling drops.
CREATE TABLE telemetry_trace (
    workspace_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    start timestamptz NOT NULL,
    finish timestamptz NOT NULL,
    duration double precision NOT NULL,
    root_name text NOT NULL DEFAULT '',
    root_service text NOT NULL DEFAULT '',
    has_root boolean NOT NULL DEFAULT false,
    spans integer NOT NULL,
    errors integer NOT NULL DEFAULT 0,
    llm_calls integer NOT NULL DEFAULT 0,
    tool_calls integer NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cached_tokens bigint NOT NULL DEFAULT 0,
    reasoning_tokens bigint NOT NULL DEFAULT 0,
    cost_usd double precision NOT NULL DEFAULT 0,
    -- `name:value` of what its spans have: service, provider, model, operation, agent, tool, team, component, session, user, error.
    facets text[] NOT NULL DEFAULT '{}',
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    -- Why sampling kept it: error, slow, costly, share; empty as long as nothing is decided.
    kept text NOT NULL DEFAULT '',
    PRIMARY KEY (trace_id, workspace_id)
);
CREATE INDEX telemetry_trace_newest ON telemetry_trace (workspace_id, start DESC);
CREATE INDEX telemetry_trace_facets ON telemetry_trace USING gin (facets);
CREATE INDEX telemetry_trace_undecided ON telemetry_trace (last_seen) WHERE kept = '';

-- A log record, once per workspace. The digest stands for all of it: a record that is sent again is known by it.
CREATE TABLE telemetry_log (
    workspace_id bigint NOT NULL,
    digest uuid NOT NULL,
    at timestamptz NOT NULL,
    severity smallint NOT NULL,
    severity_text text NOT NULL DEFAULT '',
    service text NOT NULL DEFAULT '',
    scope text NOT NULL DEFAULT '',
    event_name text NOT NULL DEFAULT '',
    body text NOT NULL,
    exception_type text NOT NULL DEFAULT '',
    trace_id uuid,
    span_id bigint,
    attributes jsonb,
    resource jsonb,
    dropped integer NOT NULL DEFAULT 0,
    content jsonb
) PARTITION BY RANGE (at);
CREATE INDEX telemetry_log_newest ON telemetry_log (workspace_id, at, digest);
CREATE INDEX telemetry_log_trace ON telemetry_log (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX telemetry_log_words ON telemetry_log USING gin (to_tsvector('simple', body));

-- What each service sends: metrics count only where no spans come.
CREATE TABLE telemetry_service (
    workspace_id bigint NOT NULL,
    service text NOT NULL,
    first_seen timestamptz NOT NULL,
    spans_at timestamptz,
    metrics_at timestamptz,
    logs_at timestamptz,
    -- Up to when its calls were counted from metrics: spans of that time do not count again.
    metrics_until timestamptz,
    PRIMARY KEY (workspace_id, service)
);

-- The last known point of each stream of metrics that counts; times in nanoseconds, as clients send them.
CREATE TABLE telemetry_stream (
    workspace_id bigint NOT NULL,
    digest uuid NOT NULL,
    cumulative boolean NOT NULL,
    start bigint NOT NULL,
    time bigint NOT NULL,
    count bigint NOT NULL,
    total double precision NOT NULL,
    seen timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, digest)
);

-- What sampling did, for the metric and the page: traces and spans by reason.
CREATE TABLE telemetry_sampled (
    reason text PRIMARY KEY,
    traces bigint NOT NULL DEFAULT 0,
    spans bigint NOT NULL DEFAULT 0
);
