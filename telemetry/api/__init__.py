"""The REST API's resources of traces and logs: the pages' searches, for programs."""
