"""Rules, evaluation, flips, notifications, runbooks."""
