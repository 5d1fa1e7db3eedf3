-- Metrics that arrived and count for nothing, for the page that says what was understood.
CREATE TABLE telemetry_unread_metric (
    workspace_id bigint NOT NULL,
    service text NOT NULL,
    metric text NOT NULL,
    seen timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, service, metric)
);
