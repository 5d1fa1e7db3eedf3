"""Rules from and to the files of other systems, through the API."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.exchange import export, plan
from alerts.models import Rule
from alerts.rules.edits import RuleError
from alerts.rules.groups import GroupError
from core.accounts import permissions
from core.accounts.models import Workspace
from core.accounts.ownership import changer_of
from core.api.resources import Resource


class RuleFileSerializer(serializers.Serializer[Any]):
    """A file of rules, and whose they are to be."""

    text = serializers.CharField(
        max_length=plan.MAX_CHARACTERS,
        trim_whitespace=False,
        help_text=(
            "A rule file of Prometheus or vmalert, a provisioning file of Grafana, or rules in the simple format."
        ),
    )
    workspace = serializers.CharField(
        max_length=100, required=False, allow_null=True, default=None, help_text="By slug; null: the whole portal's."
    )
    group = serializers.CharField(max_length=200, default="imported", help_text="Of rules in the simple format.")
    dry_run = serializers.BooleanField(default=False, help_text="Only say what would be done.")
    partly = serializers.BooleanField(
        default=False, help_text="Import what is understood; else a problem refuses the whole file."
    )


class FileStepSerializer(serializers.Serializer[Any]):
    """What becomes of a group or rule of the file."""

    group = serializers.CharField()
    name = serializers.CharField(help_text="Empty: the group itself.", allow_blank=True)
    action = serializers.ChoiceField(choices=["new", "changed", "same", "only_here"])
    changes = serializers.DictField(child=serializers.ListField(), help_text="{field: [old, new]}")


class FileProblemSerializer(serializers.Serializer[Any]):
    """What was not understood, and where. Lines and columns count from 1."""

    line = serializers.IntegerField()
    column = serializers.IntegerField()
    message = serializers.CharField()


class PlanSerializer(serializers.Serializer[Any]):
    """What importing would do, or did (`imported`)."""

    format = serializers.CharField(
        help_text="prometheus, vmalert, grafana, simple; empty: it cannot be read.", allow_blank=True
    )
    imported = serializers.BooleanField()
    steps = FileStepSerializer(many=True)
    problems = FileProblemSerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField())


class ExportSerializer(serializers.Serializer[Any]):
    """A file of rules."""

    text = serializers.CharField()


@extend_schema(tags=["rules"])
class RuleFiles(Resource[Rule]):
    """Rules from and to the files of Prometheus, vmalert and Grafana."""

    queryset = Rule.objects.none()
    serializer_class = RuleFileSerializer
    filter_backends = ()
    pagination_class = None

    @extend_schema(
        responses=forced_singular_serializer(ExportSerializer),  # type: ignore[no-untyped-call]  # it has no types
        operation_id="rule_files_retrieve",
        parameters=[
            OpenApiParameter("format_of", str, enum=sorted(export.WRITERS), default="prometheus"),
            OpenApiParameter("workspace", str, description="Whose rules; left out: the whole portal's."),
            OpenApiParameter("group", str, many=True, description="Only of these groups."),
        ],
    )
    def list(self, request: Request) -> Response:
        """The rules as a file, thresholds filled in."""
        form = request.query_params.get("format_of", "prometheus")
        if form not in export.WRITERS:
            raise ValidationError({"format_of": f"must be one of {', '.join(sorted(export.WRITERS))}"})
        owner = self._owner(request.query_params.get("workspace"))
        rules = export.rules_of(owner, request.query_params.getlist("group"))
        return Response({"text": export.write(rules, form)})

    @extend_schema(request=RuleFileSerializer, responses={200: PlanSerializer})
    @action(detail=False, methods=["post"], url_path="import")
    def take(self, request: Request) -> Response:
        """Import a file, or with `dry_run` say what that would do. Importing it again changes nothing."""
        asked = RuleFileSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        owner = self._owner(given["workspace"])
        changer = changer_of(self.actor)
        changer.require(owner.pk if owner is not None else None)
        found = plan.plan(plan.read_file(given["text"], "text", given["group"]), owner, "text")
        does = not given["dry_run"] and (given["partly"] or not found.problems)
        if does:
            try:
                plan.apply(found, owner, by=self.actor, now=timezone.now(), changes_groups=changer.may(None))
            except (RuleError, GroupError) as error:
                raise ValidationError({"text": str(error)}) from error
        return Response(PlanSerializer({**shown(found), "imported": does}).data)

    def _owner(self, slug: str | None) -> Workspace | None:
        """The workspace of that slug, which the caller can see; None for none."""
        if not slug:
            return None
        found = permissions.visible(self.actor).filter(slug=slug).first()
        if found is None:
            raise ValidationError({"workspace": "there is no such workspace"})
        return found


def shown(found: plan.Plan) -> dict[str, Any]:
    """A plan as the API says it."""
    groups = [
        {"group": one.draft.name, "name": "", "action": one.action, "changes": one.changes} for one in found.groups
    ]
    rules = [
        {"group": one.draft.group, "name": one.draft.name, "action": one.action, "changes": one.changes}
        for one in found.rules
    ]
    here = [
        {"group": rule.group.name, "name": rule.record or rule.alert_name, "action": "only_here", "changes": {}}
        for rule in found.only_here
    ]
    problems = [{"line": one.line, "column": one.column, "message": one.message} for one in found.problems]
    return {"format": found.format, "steps": [*groups, *rules, *here], "problems": problems, "notes": found.notes}
