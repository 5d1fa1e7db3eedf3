"""Rules of labels as a resource."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.owned import OwnedEditable, OwnedSerializer
from core.pg.text import storable
from usage.models import LabelRule
from usage.relabelling.applying import Relabel
from usage.relabelling.edits import delete_label_rule, problems, save_label_rule
from usage.relabelling.preview import preview


class LabelRuleSerializer(OwnedSerializer[LabelRule]):
    """What becomes of a label's values as records are stored: replaced, dropped or shortened, so that label sets stay
    few."""

    keep = serializers.IntegerField(min_value=1, max_value=200, required=False)

    class Meta:
        model = LabelRule
        fields = (
            "id",
            "workspace",
            "kind",
            "label",
            "regex",
            "action",
            "replacement",
            "keep",
            "separator",
            "created_at",
        )
        read_only_fields = ("created_at",)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A rule that can be applied."""
        attrs = super().validate(attrs)
        for name in ("regex", "replacement", "separator"):
            storable(attrs.get(name, ""))
        now = {name: getattr(self.instance, name) for name in self.Meta.fields[1:9]} if self.instance else {}
        rule = LabelRule(pk=self.instance.pk if self.instance else None, **{**now, **attrs})
        if found := problems(rule):
            raise serializers.ValidationError(found)
        return attrs

    def create(self, validated_data: dict[str, Any]) -> LabelRule:
        """Make it."""
        return save_label_rule(LabelRule(**validated_data), by=self.actor)

    def update(self, instance: LabelRule, validated_data: dict[str, Any]) -> LabelRule:
        """Change it."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        return save_label_rule(instance, by=self.actor)


class PreviewSerializer(serializers.Serializer[Any]):
    """What a rule would have made of the last day's label sets."""

    before = serializers.IntegerField(help_text="Label sets of the kind in the last day.")
    after = serializers.IntegerField(help_text="How many of them would have remained.")
    changed = serializers.IntegerField(help_text="Values that the rule changes.")
    examples = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(allow_blank=True)),
        help_text="Some of them, each with what becomes of it.",
    )


@extend_schema(tags=["records"])
class LabelRules(OwnedEditable[LabelRule]):
    """Rules that map, drop or shorten the values of a label as records are stored; they apply in the order of their
    ids."""

    queryset = LabelRule.objects.order_by("id")
    serializer_class = LabelRuleSerializer
    lookup_value_regex = r"\d+"
    filterset_fields: ClassVar[tuple[str, ...]] = ("kind", "label")
    ordering_fields = ("id", "kind", "label")

    def remove(self, instance: LabelRule) -> None:
        """Forget it; label sets that it made stay."""
        delete_label_rule(instance, by=self.actor)

    @extend_schema(responses=PreviewSerializer)
    @action(detail=True, methods=["get"])
    def preview(self, request: Request, pk: str) -> Response:
        """What it makes of the label sets that the last day's records have."""
        return Response(PreviewSerializer(preview(Relabel.of(self.get_object()), self.slugs, timezone.now())).data)
