"""Slack, through an incoming webhook: Block Kit, a heading and below it an attachment whose colour says the state."""

from __future__ import annotations

from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from alerts.notify.transports.contract import ConfigInvalid, Field, Message, TraceLine
from alerts.notify.transports.http import host, post_json, url_problem
from alerts.notify.transports.text import ACT

FIELDS: tuple[Field, ...] = (
    Field("url", "Webhook URL", "Slack: Apps, Incoming Webhooks, Add to channel. It is a secret."),
)
HEADER, SECTION, FIELD, CONTEXT = 150, 3000, 2000, 2000
LABELS_SHOWN = 8
# Slack refuses a block without text.
UNNAMED = "Alert without a name"
COLOURS = {"critical": "#c9302c", "warning": "#b26a00", "info": "#3455db"}
RESOLVED, TEST = "#1a8a5a", "#566172"
ICONS = {"critical": "🔴", "warning": "🟠", "info": "🔵"}


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"url": …}`."""
    if problem := url_problem(raw.get("url")):
        raise ConfigInvalid({"url": problem})
    return {"url": raw["url"].strip()}


def target(config: dict[str, Any]) -> str:
    """The host; the path is the secret."""
    return host(config["url"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """Post to the webhook."""
    return post_json(config["url"], payload(message))


def payload(message: Message, *, buttons: bool = False) -> dict[str, Any]:
    """The request's body; `buttons`: Slack calls the portal when one is pressed. `text` is what notifications and
    screen readers say; Slack shows the blocks instead."""
    heading = HeaderBlock(text=PlainTextObject(text=cut(headline(message), HEADER), emoji=True))
    return {
        "text": cut(escape(headline(message)), SECTION),
        "blocks": [heading.to_dict()],
        "attachments": [
            {"color": colour(message), "blocks": [block.to_dict() for block in build_blocks(message, buttons=buttons)]}
        ],
    }


def build_blocks(message: Message, *, buttons: bool = False) -> list[Block]:
    """What happened, labels, notes, links; each within Slack's limits."""
    blocks: list[Block] = []
    if message.description.strip():
        blocks.append(section(escape(message.description)))
    if facts := _facts(message):
        blocks.append(SectionBlock(fields=[MarkdownTextObject(text=cut(fact, FIELD)) for fact in facts]))
    if labels := _labels(message):
        blocks.append(section(labels))
    if message.note.strip():
        blocks.append(section(f"*{escape(message.note)}*"))
    if message.evidence:
        blocks.append(section("\n".join(f"*{escape(name)}* {escape(text)}" for name, text in message.evidence)))
    if message.traces:
        blocks.append(section("\n".join(["*Traces that show it*", *(_trace(one) for one in message.traces)])))
    blocks.append(
        ContextBlock(elements=[MarkdownTextObject(text=cut(escape(message.alertname.strip() or UNNAMED), CONTEXT))])
    )
    blocks.append(ActionsBlock(elements=[*(_buttons(message) if buttons else []), *_links(message, buttons)]))
    return blocks


def headline(message: Message) -> str:
    """State or severity, then the title, on one line."""
    title = " ".join(message.title.split()) or message.alertname.strip() or UNNAMED
    if message.state == "resolved":
        return f"✅ Resolved: {title}"
    if message.is_plain:
        return title
    return f"{ICONS.get(message.severity, '🔵')} {message.severity.capitalize()}: {title}"


def colour(message: Message) -> str:
    """The bar beside the message."""
    if message.state == "resolved":
        return RESOLVED
    return TEST if message.is_plain else COLOURS.get(message.severity, COLOURS["info"])


def section(text: str) -> SectionBlock:
    """A paragraph of mrkdwn."""
    return SectionBlock(text=MarkdownTextObject(text=cut(text, SECTION)))


def escape(text: str) -> str:
    """Text that Slack shows as it is: the three characters that its markup gives a meaning are escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, limit: int) -> str:
    """The text, shortened to Slack's limit; never in the middle of an escape."""
    if len(text) <= limit:
        return text
    short = text[: limit - 1]
    start = short.rfind("&")
    if start > len(short) - 6 and ";" not in short[start:]:
        short = short[:start]
    return short + "…"


def _facts(message: Message) -> list[str]:
    """Value against threshold, since when, until when."""
    if message.is_plain:
        return []
    facts = []
    if message.value:
        name = "Last value" if message.state == "resolved" else "Value"
        facts.append(f"*{name}*\n{escape(message.value)}")
    if message.threshold:
        facts.append(f"*Threshold*\n{escape(message.threshold)}")
    facts.append(f"*Firing since*\n{_moment(message.since)}")
    if message.state == "resolved":
        facts.append(f"*Resolved at*\n{_moment(message.at)}")
    return facts


def _labels(message: Message) -> str:
    """The labels that tell this alert from others."""
    shown = list(message.labels.items())[:LABELS_SHOWN]
    text = "  ".join(f"{escape(name)} `{escape(value).replace('`', 'ʼ')}`" for name, value in shown if value)
    more = len(message.labels) - len(shown)
    return f"{text}  and {more} more" if more > 0 else text


def _trace(trace: TraceLine) -> str:
    """A link; what would end its text is taken out."""
    return f"<{trace.url}|{escape(trace.text).replace('|', 'ǀ')}>"


def _moment(at: Any) -> str:
    """A time that Slack shows in the reader's zone."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{at:%Y-%m-%d %H:%M:%S} UTC>"


def _buttons(message: Message) -> list[ButtonElement]:
    """Buttons that act."""
    if not message.act_token:
        return []
    acknowledge = ButtonElement(text="Acknowledge", action_id="acknowledge", value=message.act_token, style="primary")
    return [acknowledge, ButtonElement(text="Snooze 1 h", action_id="snooze-1h", value=message.act_token)]


def _links(message: Message, buttons: bool) -> list[ButtonElement]:
    """Buttons that open chart, alert and runbook."""
    act = "" if buttons else message.act_url
    links = [
        ("Alert", message.alert_url),
        (ACT, act),
        ("Chart and rule", message.rule_url),
        ("Runbook", message.runbook_url),
    ]
    if message.is_plain:
        links = [(message.place, message.alert_url)]
    return [
        ButtonElement(text=text, url=url, action_id=f"open-{number}")
        for number, (text, url) in enumerate((text, url) for text, url in links if url)
    ]
