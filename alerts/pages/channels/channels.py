"""Pages of channels: where messages go, and whether they arrive."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts import queries
from alerts.models import Channel, Delivery
from alerts.notify import channels
from alerts.notify import retry as send_again
from alerts.notify.transports.contract import ConfigInvalid
from alerts.pages.forms import ChannelForm
from core.accounts import ownership, permissions
from core.api.editions import Outdated, editing
from core.ui.htmx import is_partial


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every channel with its last delivery."""
    context = {
        "channels": queries.channel_list(permissions.scope_of(request.user, {}).slugs),
        "changer": ownership.changer_of(request.user),
        "kinds": Channel.Kind.choices,
        "may_operate": permissions.may_operate(request.user),
    }
    return render(request, "alerts/channels.html", context)


def find(request: HttpRequest, channel_id: int, *, to_change: bool = False) -> Channel:
    """The channel. Raises Http404 for a stranger to it, PermissionDenied where it is `to_change` and the person may
    not."""
    visible = ownership.owned(permissions.scope_of(request.user, {}).slugs)
    channel = get_object_or_404(Channel.objects.filter(visible).select_related("workspace"), pk=channel_id)
    if to_change:
        ownership.changer_of(request.user).require(channel.workspace_id)
    return channel


@login_required
@require_GET
def detail(request: HttpRequest, channel_id: int) -> HttpResponse:
    """A channel's deliveries with their attempts; `state` filters them."""
    channel = find(request, channel_id)
    state = request.GET.get("state", "")
    state = state if state in Delivery.State.values else ""
    scope = permissions.scope_of(request.user, {})
    found = queries.deliveries_of(channel, state, scope.slugs)
    context = {
        "channel": channel,
        "state": state,
        "states": Delivery.State.choices,
        "deliveries": Paginator(found, queries.PAGE).get_page(request.GET.get("page")),
        "may_operate": ownership.changer_of(request.user).may(channel.workspace_id),
    }
    return render(request, "alerts/channel.html", context)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, kind: str) -> HttpResponse:
    """A new channel of a kind."""
    if kind not in Channel.Kind.values:
        raise Http404("No such kind of channel.")
    form = ChannelForm(request.POST or None, kind=kind, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            channel = channels.create_channel(
                kind, config=form.config or {}, workspace=form.cleaned_data["workspace"], **chosen(form)
            )
        except ConfigInvalid as error:
            form.take_errors(error)
        else:
            messages.success(request, f"{channel.name} was added. Send a test message to see that it arrives.")
            return redirect("channel", channel.pk)
    context = {"form": form, "kind": Channel.Kind(kind).label}
    return render(request, "alerts/channel_edit.html", context, status=422 if form.errors else 200)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Change a channel."""
    channel = find(request, channel_id, to_change=True)
    form = ChannelForm(request.POST or None, kind=channel.kind, channel=channel, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            with editing(channel, request.POST.get("edition", "")):
                channels.update_channel(channel, config=form.config, **chosen(form))
        except ConfigInvalid as error:
            form.take_errors(error)
        except Outdated as outdated:
            form.add_error(None, str(outdated))
        else:
            messages.success(request, f"{channel.name} was saved.")
            return redirect("channel", channel.pk)
    shown = Channel.objects.get(pk=channel_id)
    context = {"form": form, "kind": channel.get_kind_display(), "channel": shown}
    return render(request, "alerts/channel_edit.html", context, status=422 if form.errors else 200)


def chosen(form: ChannelForm) -> dict[str, Any]:
    """What every kind of channel has."""
    names = ("name", "severities", "send_resolved", "enabled", "rate_limit", "rate_seconds")
    given = {name: form.cleaned_data[name] for name in names}
    return {**given, "rate_seconds": given["rate_seconds"] or 600}


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Ask, then remove a channel."""
    channel = find(request, channel_id, to_change=True)
    if request.method == "POST":
        channels.delete_channel(channel)
        messages.success(request, f"{channel.name} was removed.")
        return redirect("channels")
    return render(request, "alerts/channel_delete.html", {"channel": channel, **queries.uses_of(channel)})


@permissions.operator_required
@require_POST
def test(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Send a test message now; its outcome in place for htmx, else as a message on the page."""
    channel = find(request, channel_id, to_change=True)
    result = channels.send_test(channel, now=timezone.now())
    if is_partial(request):
        return render(request, "alerts/_test_result.html", {"result": result})
    if result.ok:
        messages.success(request, f"The test message to {channel.name} was taken: {result.reply or 'no reply'}")
    else:
        messages.error(request, f"The test message to {channel.name} did not arrive: {result.error}")
    return redirect("channel", channel.pk)


@permissions.operator_required
@require_POST
def retry(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """Try a failed delivery again."""
    found = Delivery.objects.exclude(channel=None).select_related("channel")
    delivery = get_object_or_404(found, pk=delivery_id)
    if delivery.channel_id is not None:
        find(request, delivery.channel_id, to_change=True)
    if send_again.send_again(delivery, timezone.now()):
        messages.success(request, "It is sent again at once; the worker does it.")
    else:
        messages.warning(request, "Only what failed can be sent again.")
    return redirect("channel", delivery.channel_id)
