"""Slack, by a bot token: what an incident has to say after its first message goes into that one's thread. Source:
Slack's chat.postMessage."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from alerts.notify.transports import slack
from alerts.notify.transports.contract import DeliveryError, Field, Message, Reply
from alerts.notify.transports.http import parse_fields, post_bytes, post_for_answer, post_form

API = "https://slack.com/api"
FIELDS: tuple[Field, ...] = (
    Field(
        "token", "Bot token", "Begins with xoxb-; the app needs chat:write, and files:write for charts. It is a secret."
    ),
    Field("channel", "Channel", "Its id, or #name."),
    Field(
        "signing_secret",
        "Signing secret",
        "Of the app, whose interactivity request URL is /slack/interactive here: then messages have buttons. It "
        "is a secret.",
        required=False,
    ),
    Field("url", "URL", f"Empty: {API}", required=False),
)
# What Slack's own trouble is, and not the configuration's.
PASSING = {
    "ratelimited",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "message_limit_exceeded",
}


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"token": …, "channel": …, "signing_secret": …, "url": …}`."""
    return parse_fields(raw, urls={"url": API}, texts={"token": True, "channel": True, "signing_secret": False})


def target(config: dict[str, Any]) -> str:
    """The channel."""
    return str(config["channel"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """Post it; into the incident's thread where there is one, and there an end is shown in the channel too."""
    body = {
        **slack.payload(message, buttons=bool(config.get("signing_secret"))),
        "channel": config["channel"],
        "unfurl_links": False,
    }
    if message.reference:
        body |= {"thread_ts": message.reference, "reply_broadcast": message.state == "resolved"}
    address = f"{config['url'].rstrip('/')}/chat.postMessage"
    reply, text = post_for_answer(address, body, {"Authorization": f"Bearer {config['token']}"})
    try:
        answer = json.loads(text)
        if answer["ok"]:
            thread = message.reference or str(answer["ts"])
            if message.picture:
                # The message has arrived: it is not sent again for its picture.
                with suppress(DeliveryError, ValueError, KeyError, TypeError):
                    upload(message.picture, config, str(answer.get("channel", "")), thread)
            return Reply(reply[:60], thread)
        problem = str(answer["error"])
    except (ValueError, KeyError, TypeError):
        raise DeliveryError("Slack's answer is not what its API says", retry=True, reply=reply) from None
    raise DeliveryError(f"Slack refused: {problem}", retry=problem in PASSING, reply=problem)


def upload(picture: bytes, config: dict[str, Any], channel: str, thread: str) -> None:
    """Put the chart into the thread: files.getUploadURLExternal, the bytes, files.completeUploadExternal. The app needs
    files:write."""
    base, lines = config["url"].rstrip("/"), {"Authorization": f"Bearer {config['token']}"}
    form = urlencode({"filename": "chart.png", "length": len(picture)}).encode()
    _, text = post_form(f"{base}/files.getUploadURLExternal", form, lines)
    place = json.loads(text)
    post_bytes(str(place["upload_url"]), picture, "image/png")
    done = {"files": [{"id": place["file_id"], "title": "Chart"}], "channel_id": channel, "thread_ts": thread}
    post_for_answer(f"{base}/files.completeUploadExternal", done, lines)
