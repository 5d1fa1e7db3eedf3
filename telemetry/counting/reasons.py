"""Why a span counts for nothing: the words that are stored with it, and the sentence that a page shows."""

from __future__ import annotations

OTHER = "other"
WRAPPER = "wrapper"
COUNTED_BELOW = "counted below"
COUNTED_ABOVE = "counted above"
KNOWN = "known"
METRICS = "metrics"
NO_CALL_BELOW = "no call below"
WAITING = "waiting"
REFUSED = "refused"  # followed by `: ` and what was wrong

SENTENCES = {
    OTHER: "Neither a call of a model or tool, nor a run of an agent, nor a gateway's request.",
    WRAPPER: "Repeats the usage of the spans below it, which count.",
    COUNTED_BELOW: "A span below it tells of the same call and counts.",
    COUNTED_ABOVE: "A span above it tells of the same call and had been counted before this one arrived.",
    KNOWN: "The same call had been counted from a usage record or another span.",
    METRICS: "The service's metrics had counted this time already.",
    NO_CALL_BELOW: "A request in which no model was called.",
    WAITING: "Waits for spans below it that may tell of the same call; it is counted some seconds after it arrived.",
}


def sentence(reason: str) -> str:
    """What a page says of a reason."""
    word, _, detail = reason.partition(": ")
    return f"Its usage was refused: {detail}." if word == REFUSED else SENTENCES.get(word, reason)
