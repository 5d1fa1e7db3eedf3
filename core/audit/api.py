"""The audit log as a REST resource."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from core.api.filters import Filters
from core.api.pages import TimedPages
from core.api.resources import Growing
from core.audit.models import AuditLine
from core.audit.queries import seen_by


class AuditLineSerializer(serializers.ModelSerializer[AuditLine]):
    """One change: who, when, from where, by which way, and each field before and after."""

    before = serializers.DictField(allow_null=True, read_only=True)
    after = serializers.DictField(allow_null=True, read_only=True)
    address = serializers.CharField(allow_null=True, read_only=True)

    class Meta:
        model = AuditLine
        fields = (
            "id",
            "at",
            "actor",
            "via",
            "address",
            "action",
            "object_type",
            "object_id",
            "object_name",
            "workspace",
            "before",
            "after",
        )
        read_only_fields = fields


class AuditFilter(Filters):
    """Which lines."""

    actor = django_filters.CharFilter()
    via = django_filters.ChoiceFilter(choices=AuditLine.Via.choices)
    action = django_filters.CharFilter()
    object_type = django_filters.CharFilter()
    object_id = django_filters.CharFilter()
    after = django_filters.IsoDateTimeFilter("at", lookup_expr="gte")
    before = django_filters.IsoDateTimeFilter("at", lookup_expr="lt")


@extend_schema(tags=["people"])
class Audit(Growing[AuditLine]):
    """The audit log, the newest first: for administrators all of it, for operators their workspaces' and their own
    lines."""

    queryset = AuditLine.objects.all()
    serializer_class = AuditLineSerializer
    readers = "operators"
    is_scoped = True
    pagination_class = TimedPages
    filterset_class = AuditFilter

    def get_queryset(self) -> QuerySet[AuditLine]:
        """Those that the caller sees."""
        found = super().get_queryset().filter(seen_by(self.actor))
        workspace = self.request.query_params.get("workspace")
        return found.filter(workspace__in=self.slugs or ()) if workspace else found
