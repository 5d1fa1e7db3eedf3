"""Reads of traces, spans and logs, for pages and other clients: what they return is typed and knows nothing of
tables. `traces` has lists of traces and one trace, `logs` log records."""
