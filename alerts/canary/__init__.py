"""The canary: every hour a record of the portal's own goes the whole way, through ingest, evaluation and sending, and
what that took is measured. What breaks on the way shows before an alert that matters is missing."""
