"""When a span's usage counts: once the spans that may tell of the same call have had time to arrive.

Whether a span counts depends on the spans below it only (telemetry.counting.lineage), and those end before it does.
So spans are stored at once, their usage waits with them in Postgres for PORTAL_LINEAGE_WAIT seconds, and is then
decided from all that is known of its traces.

    calls       what waits: the usage that a request's spans may be
    waiting     the table of what waits
    settle      decides what has waited long enough, and counts it
    changes     spans that became something else than the page said while they waited
"""
