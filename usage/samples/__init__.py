"""Traffic to try the portal with: demo records, and replays of real files."""
