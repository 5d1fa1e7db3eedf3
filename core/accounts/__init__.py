"""Who may do what: workspaces' members, API keys."""
