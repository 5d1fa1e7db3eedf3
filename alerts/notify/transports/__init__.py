"""Where notifications go: a module per kind of channel, all with one contract (`contract.Transport`)."""

from alerts.notify.transports import (
    alertmanager,
    discord,
    email,
    google_chat,
    ntfy,
    opsgenie,
    pagerduty,
    slack,
    slack_bot,
    teams,
    telegram,
    webhook,
)
from alerts.notify.transports.contract import Transport

TRANSPORTS: dict[str, Transport] = {
    "slack": slack,
    "email": email,
    "webhook": webhook,
    "slack_bot": slack_bot,
    "pagerduty": pagerduty,
    "opsgenie": opsgenie,
    "teams": teams,
    "discord": discord,
    "telegram": telegram,
    "google_chat": google_chat,
    "ntfy": ntfy,
    "alertmanager": alertmanager,
}
