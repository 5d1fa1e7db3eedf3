"""The pages of alerts, rules, channels and runbooks."""
