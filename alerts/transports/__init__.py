"""Where notifications go: a module per kind of channel, all with one contract (`contract.Transport`)."""

from alerts.transports import email, slack, webhook
from alerts.transports.contract import Transport

TRANSPORTS: dict[str, Transport] = {"slack": slack, "email": email, "webhook": webhook}
