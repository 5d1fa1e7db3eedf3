"""Django's admin: every model can be looked at; rules are changed on the same way as in
the pages, so that history knows of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from alerts.canary.models import CanaryRun
from alerts.models import (
    Alert,
    Channel,
    Delivery,
    DeliveryAttempt,
    Escalation,
    EscalationPolicy,
    Flip,
    Incident,
    IncidentEvent,
    Member,
    MessageTemplate,
    Override,
    RecordedSeries,
    RecordedSlot,
    Rotation,
    RoutingVersion,
    Rule,
    RuleChange,
    RuleGroup,
    Runbook,
    RunbookVersion,
    Schedule,
    Silence,
)
from alerts.notify.channels import delete_channel
from alerts.rules.edits import RuleEdit, RuleError, create_rule, update_rule, validate
from alerts.rules.rule_history import delete_rule
from alerts.silencing.models import RecurringSilence
from core.audit.admin import AuditedAdmin
from core.ui.admin import ReadOnlyAdmin

if TYPE_CHECKING:
    RuleForm = forms.ModelForm[Rule]
    RuleAdminBase = admin.ModelAdmin[Rule]
    ModelAdmin = admin.ModelAdmin[Model]
else:
    RuleForm = forms.ModelForm
    RuleAdminBase = ModelAdmin = admin.ModelAdmin

EDITED = {*RuleEdit.__dataclass_fields__}


class CheckedRuleForm(RuleForm):
    """Refuses what could not be evaluated."""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # the stubs leave it out
        if self.errors:
            return
        try:
            validate(self.instance)
        except RuleError as refused:
            for name, text in refused.errors.items():
                self.add_error(name if name in self.fields else None, text)


class ChannelChoice(ActionForm):
    """What stands beside the actions: the channel for the action that needs one."""

    channel = forms.ModelChoiceField(Channel.objects.all(), required=False, empty_label="channel …")


@admin.register(Rule)
class RuleAdmin(RuleAdminBase):
    """Rules, with threshold, `for`, severity and enabled to be changed in the list, and actions for many at once."""

    form = CheckedRuleForm
    list_display = ("name", "group", "severity", "threshold", "threshold_unit", "for_seconds", "enabled", "health")
    list_editable = ("threshold", "for_seconds", "severity", "enabled")
    action_form = ChannelChoice
    actions = ("switch_on", "switch_off", "pause_a_day", "go_on", "notify_channel", "notify_all_channels")
    list_filter = ("group", "severity", "enabled", "health")
    search_fields = ("name", "title", "expr")
    filter_horizontal = ("channels",)
    readonly_fields = (
        "version",
        "health",
        "last_error",
        "last_evaluated_at",
        "last_duration_seconds",
        "last_series",
        "unmatched",
        "evaluations",
        "evaluation_failures",
        "position",
    )

    def _each(self, request: HttpRequest, rules: QuerySet[Rule], edit: RuleEdit, **channels: Any) -> None:
        """The same edit of all the rules, each in its history; those that refuse it are named."""
        now, by = timezone.now(), request.user if isinstance(request.user, User) else None
        changed = 0
        for rule in rules:
            try:
                changed += update_rule(rule, edit, by=by, now=now, **channels) is not None
            except RuleError as refused:
                self.message_user(request, f"{rule.name}: {refused}", messages.ERROR)
        self.message_user(request, f"{changed} rules were changed.")

    @admin.action(description="Switch on")
    def switch_on(self, request: HttpRequest, rules: QuerySet[Rule]) -> None:
        """Evaluate them."""
        self._each(request, rules, RuleEdit(enabled=True))

    @admin.action(description="Switch off")
    def switch_off(self, request: HttpRequest, rules: QuerySet[Rule]) -> None:
        """Their open alerts end."""
        self._each(request, rules, RuleEdit(enabled=False))

    @admin.action(description="Pause for a day")
    def pause_a_day(self, request: HttpRequest, rules: QuerySet[Rule]) -> None:
        """Not evaluated until then."""
        self._each(request, rules, RuleEdit(paused_until=timezone.now() + dt.timedelta(days=1)))

    @admin.action(description="Resume")
    def go_on(self, request: HttpRequest, rules: QuerySet[Rule]) -> None:
        """End a pause."""
        self._each(request, rules, RuleEdit(paused_until=None))

    @admin.action(description="Notify only the channel chosen here")
    def notify_channel(self, request: HttpRequest, rules: QuerySet[Rule]) -> None:
        """Change the channel."""
        channel = Channel.objects.filter(pk=request.POST.get("channel") or 0).first()
        if channel is None:
            self.message_user(request, "Choose a channel beside the action.", messages.ERROR)
        else:
            self._each(request, rules, RuleEdit(), channels=[channel])

    @admin.action(description="Notify every channel that takes the severity")
    def notify_all_channels(self, request: HttpRequest, rules: QuerySet[Rule]) -> None:
        """Choose none."""
        self._each(request, rules, RuleEdit(), channels=[])

    def get_readonly_fields(self, request: HttpRequest, obj: Rule | None = None) -> list[str]:
        """Name and group say which rule it is: they stay."""
        return [*self.readonly_fields, *(("name", "group") if obj is not None else ())]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[CheckedRuleForm]:
        """The list's rows are checked like the page."""
        return CheckedRuleForm

    def save_model(self, request: HttpRequest, obj: Rule, form: CheckedRuleForm, change: bool) -> None:
        """Write by the functions that keep history."""
        now, by = timezone.now(), request.user if isinstance(request.user, User) else None
        fields = {name: getattr(obj, name) for name in form.changed_data if name in EDITED}
        if change:
            update_rule(obj, RuleEdit(**fields), by=by, now=now, channels=form.cleaned_data.get("channels"))
        else:
            channels = form.cleaned_data.get("channels")
            made = create_rule(obj.group, obj.name, RuleEdit(**fields), by=by, now=now, channels=channels)
            obj.pk, obj.position, obj.version = made.pk, made.position, made.version

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        """With its alerts."""
        delete_rule(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        """Each with its alerts."""
        for rule in queryset:
            delete_rule(rule)


@admin.register(RuleGroup)
class RuleGroupAdmin(AuditedAdmin):
    list_display = ("name", "interval_seconds", "evaluated_until", "last_duration_seconds", "slots_skipped")
    readonly_fields = ("created_at", "evaluated_until", "last_evaluated_at", "last_duration_seconds", "slots_skipped")


@admin.register(Channel)
class ChannelAdmin(AuditedAdmin):
    """Channels without their secrets; those are entered on the channels page."""

    list_display = ("name", "kind", "target", "enabled", "send_resolved")
    readonly_fields = ("kind", "target", "created_at", "updated_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        delete_channel(Channel.objects.get(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for channel in Channel.objects.filter(pk__in=queryset):
            delete_channel(channel)


@admin.register(MessageTemplate)
class MessageTemplateAdmin(ReadOnlyAdmin):
    list_display = ("kind", "workspace", "title", "updated_at")
    list_select_related = ("workspace",)


@admin.register(Runbook)
class RunbookAdmin(AuditedAdmin):
    """Titles; texts are edited on the runbook's page, where each save is a version."""

    list_display = ("title", "slug")
    prepopulated_fields: ClassVar[dict[str, Sequence[str]]] = {"slug": ("title",)}


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("rule", "state", "labels", "value", "active_at", "fired_at", "ended_at", "acknowledged_by")
    list_filter = ("state", "rule")
    list_select_related = ("rule", "acknowledged_by")


@admin.register(Flip)
class FlipAdmin(ReadOnlyAdmin):
    list_display = ("alert", "from_state", "to_state", "at", "value", "created_at")
    list_filter = ("to_state",)
    list_select_related = ("alert__rule",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("channel_name", "flip", "state", "attempts", "next_attempt_at", "finished_at")
    list_filter = ("state", "channel_name")
    list_select_related = ("flip",)


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(ReadOnlyAdmin):
    list_display = ("delivery", "number", "at", "duration_seconds", "ok", "reply", "error")
    list_filter = ("ok",)
    list_select_related = ("delivery",)


@admin.register(RuleChange)
class RuleChangeAdmin(ReadOnlyAdmin):
    list_display = ("rule", "version", "at", "author_name", "fields")
    list_filter = ("rule",)
    list_select_related = ("rule",)


@admin.register(RecordedSeries)
class RecordedSeriesAdmin(ReadOnlyAdmin):
    list_display = ("metric", "labels", "workspace", "first_at")
    list_filter = ("metric",)


@admin.register(RecordedSlot)
class RecordedSlotAdmin(ReadOnlyAdmin):
    """The samples, which are binary, stay out: Explore shows them as series."""

    list_display = ("metric", "rule_id", "at")
    fields = ("metric", "rule_id", "at")


@admin.register(RunbookVersion)
class RunbookVersionAdmin(ReadOnlyAdmin):
    list_display = ("runbook", "number", "at", "author_name")
    list_filter = ("runbook",)
    list_select_related = ("runbook",)


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ("key", "receiver", "opened_at", "closed_at", "flush_at", "notifications", "acknowledged_by")
    list_filter = ("receiver",)
    list_select_related = ("acknowledged_by",)


@admin.register(Member)
class MemberAdmin(ReadOnlyAdmin):
    list_display = ("incident", "alert", "notified", "done", "muted_by")
    list_filter = ("done",)
    list_select_related = ("incident", "alert__rule")


@admin.register(IncidentEvent)
class IncidentEventAdmin(ReadOnlyAdmin):
    list_display = ("incident", "kind", "at", "author_name", "text")
    list_filter = ("kind",)
    list_select_related = ("incident",)


@admin.register(Silence)
class SilenceAdmin(ReadOnlyAdmin):
    list_display = ("matchers", "starts_at", "ends_at", "created_by", "comment")


@admin.register(RoutingVersion)
class RoutingVersionAdmin(ReadOnlyAdmin):
    list_display = ("number", "at", "author_name")


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    list_display = ("name", "workspace", "time_zone")
    list_select_related = ("workspace",)


@admin.register(Rotation)
class RotationAdmin(ReadOnlyAdmin):
    list_display = ("schedule", "position", "people", "first_day", "handover", "shift_days")
    list_select_related = ("schedule",)


@admin.register(Override)
class OverrideAdmin(ReadOnlyAdmin):
    list_display = ("schedule", "person", "starts_at", "ends_at")
    list_select_related = ("schedule", "person")


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(ReadOnlyAdmin):
    list_display = ("name", "workspace", "repeats", "without_tree")
    list_select_related = ("workspace",)


@admin.register(Escalation)
class EscalationAdmin(ReadOnlyAdmin):
    list_display = ("policy_name", "incident", "round", "step", "next_at")
    list_filter = ("policy_name",)
    list_select_related = ("incident",)


@admin.register(RecurringSilence)
class RecurringSilenceAdmin(ReadOnlyAdmin):
    list_display = ("matchers", "weekdays", "begins", "ends", "time_zone", "created_by", "comment")


@admin.register(CanaryRun)
class CanaryRunAdmin(ReadOnlyAdmin):
    list_display = ("sent_at", "found_at", "arrived_at")
