"""REST resources of rules, alerts, channels and runbooks; portal/api/ assembles them."""
