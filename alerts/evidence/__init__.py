"""What shows where an alert comes from: labels, and executions; for its page and for its messages."""
