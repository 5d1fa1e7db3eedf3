"""Pages of traces and logs: what happened in an execution, and from every number to its cause."""
