"""10, before sending: Alertmanager's matchers, routing tree, inhibition, silences and time intervals. Pure: no Django,
no database."""
