"""Django's admin: every model can be looked at; rules are changed on the same way as in the pages, so that history knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from alerts.channels import delete_channel
from alerts.models import (
    Alert,
    Channel,
    Delivery,
    DeliveryAttempt,
    Flip,
    Rule,
    RuleChange,
    RuleGroup,
    Runbook,
    RunbookVersion,
)
from alerts.rules import RuleEdit, RuleError, create_rule, update_rule, validate

if TYPE_CHECKING:
    RuleForm = forms.ModelForm[Rule]
    RuleAdminBase = admin.ModelAdmin[Rule]
    ChannelAdminBase = admin.ModelAdmin[Channel]
    GroupAdminBase = admin.ModelAdmin[RuleGroup]
    RunbookAdminBase = admin.ModelAdmin[Runbook]
    ModelAdmin = admin.ModelAdmin[Model]
else:
    RuleForm = forms.ModelForm
    RuleAdminBase = ChannelAdminBase = GroupAdminBase = RunbookAdminBase = ModelAdmin = admin.ModelAdmin

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


@admin.register(Rule)
class RuleAdmin(RuleAdminBase):
    """Rules, with threshold, `for` and enabled to be changed in the list."""

    form = CheckedRuleForm
    list_display = ("name", "group", "severity", "threshold", "threshold_unit", "for_seconds", "enabled", "health")
    list_editable = ("threshold", "for_seconds", "enabled")
    list_filter = ("group", "severity", "enabled", "health")
    search_fields = ("name", "title", "expr")
    filter_horizontal = ("channels",)
    readonly_fields = ("version", "health", "last_error", "last_evaluated_at", "last_duration_seconds", "position")

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
            made = create_rule(obj.group, obj.name, RuleEdit(**fields), by=by, now=now)
            obj.pk, obj.position, obj.version = made.pk, made.position, made.version


@admin.register(RuleGroup)
class RuleGroupAdmin(GroupAdminBase):
    list_display = ("name", "interval_seconds", "evaluated_until", "last_duration_seconds", "slots_skipped")
    readonly_fields = ("evaluated_until", "last_evaluated_at", "last_duration_seconds", "slots_skipped")


@admin.register(Channel)
class ChannelAdmin(ChannelAdminBase):
    """Channels without their secrets; those are entered on the channels page."""

    list_display = ("name", "kind", "target", "enabled", "send_resolved")
    readonly_fields = ("kind", "target", "created_at", "updated_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        delete_channel(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for channel in queryset:
            delete_channel(channel)


@admin.register(Runbook)
class RunbookAdmin(RunbookAdminBase):
    """Titles; texts are edited on the runbook's page, where each save is a version."""

    list_display = ("title", "slug")
    prepopulated_fields: ClassVar[dict[str, Sequence[str]]] = {"slug": ("title",)}


class ReadOnly(ModelAdmin):
    """What the portal writes itself: to look at only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    list_display = ("rule", "state", "labels", "value", "active_at", "fired_at", "ended_at", "acknowledged_by")
    list_filter = ("state", "rule")
    list_select_related = ("rule", "acknowledged_by")


@admin.register(Flip)
class FlipAdmin(ReadOnly):
    list_display = ("alert", "from_state", "to_state", "at", "value", "created_at")
    list_filter = ("to_state",)
    list_select_related = ("alert__rule",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ("channel_name", "flip", "state", "attempts", "next_attempt_at", "finished_at")
    list_filter = ("state", "channel_name")
    list_select_related = ("flip",)


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(ReadOnly):
    list_display = ("delivery", "number", "at", "duration_seconds", "ok", "reply", "error")
    list_filter = ("ok",)
    list_select_related = ("delivery",)


@admin.register(RuleChange)
class RuleChangeAdmin(ReadOnly):
    list_display = ("rule", "version", "at", "author_name", "fields")
    list_filter = ("rule",)
    list_select_related = ("rule",)


@admin.register(RunbookVersion)
class RunbookVersionAdmin(ReadOnly):
    list_display = ("runbook", "number", "at", "author_name")
    list_filter = ("runbook",)
    list_select_related = ("runbook",)
