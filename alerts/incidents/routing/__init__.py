"""The routing that is saved: its edits, the branch of a workspace, Alertmanager's file, and what a change would do."""
