"""The routing in force: read, checked on the past, put in force."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.incidents.models import Silence
from alerts.incidents.policy import current_policy
from alerts.incidents.routing import edits, routing_preview
from alerts.incidents.routing.branches import remove_branch
from alerts.incidents.routing.simulation import compare
from alerts.routing.configuration import ConfigurationError
from core.accounts import permissions
from core.accounts.models import Workspace
from core.accounts.ownership import changer_of
from core.api.editions import Outdated, edition_of_text
from core.api.errors import EditedMeanwhile
from core.api.resources import Resource
from core.api.schema import ETAG, IF_MATCH


class BranchSerializer(serializers.Serializer[Any]):
    """Which part of the routing."""

    workspace = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=Workspace.objects.all(),
        allow_null=True,
        required=False,
        default=None,
        help_text="The branch of this workspace, by slug; null: all of it.",
    )


class RoutingSerializer(BranchSerializer):
    """The routing in force, as an Alertmanager configuration in YAML whose receivers name channels; empty: each rule
    chooses. Of a workspace's branch: its `route` and `receivers`."""

    text = serializers.CharField(max_length=1_000_000, trim_whitespace=False)
    left_out = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="What of an imported file has no meaning here."
    )


class ReceiverMessagesSerializer(serializers.Serializer[Any]):
    """Messages to one receiver."""

    receiver = serializers.CharField()
    before = serializers.IntegerField()
    after = serializers.IntegerField()


class RoutingPreviewSerializer(serializers.Serializer[Any]):
    """Messages of the last 7 days: `before` under what is in force, `after` under the text."""

    alerts = serializers.IntegerField()
    before = serializers.IntegerField()
    after = serializers.IntegerField()
    receivers = ReceiverMessagesSerializer(many=True)


ONE_ROUTING = forced_singular_serializer(RoutingSerializer)  # type: ignore[no-untyped-call]


@extend_schema(tags=["alerts"])
class Routing(Resource[Any]):
    """How notifications are routed. The tree is the whole portal's; each workspace's operators have a branch of it,
    after the portal's own."""

    queryset = Silence.objects.none()
    serializer_class = RoutingSerializer
    filter_backends = ()
    pagination_class = None

    is_scoped = True

    def to_change(self) -> Workspace | None:
        """Whose branch is asked for, None: all of it; for who may change that. Raises PermissionDenied, and Http404 for
        a workspace that the caller does not see."""
        asked = BranchSerializer(data=self.request.data)
        asked.is_valid(raise_exception=True)
        workspace: Workspace | None = asked.validated_data["workspace"]
        if workspace is not None and not permissions.visible(self.actor).filter(pk=workspace.pk).exists():
            raise Http404("No such workspace.")
        changer_of(self.actor).require(workspace.pk if workspace else None)
        return workspace

    def answer(self, workspace: Workspace | None, left_out: Sequence[str] = ()) -> Response:
        """What is in force now, with its edition as ETag."""
        text = routing_preview.text_in_force(workspace, self.slugs)
        data = RoutingSerializer({"workspace": workspace, "text": text, "left_out": left_out}).data
        return Response(data, headers={"ETag": f'"{edition_of_text(text)}"'})

    @contextmanager
    def editing(self, workspace: Workspace | None) -> Iterator[None]:
        """Change the edition that the caller read. Raises EditedMeanwhile."""
        try:
            with routing_preview.editing(workspace, self.matched(), self.slugs):
                yield
        except Outdated:
            raise EditedMeanwhile from None

    @extend_schema(parameters=[ETAG], responses=ONE_ROUTING, operation_id="routing_retrieve")
    def list(self, request: Request) -> Response:
        """The routing in force, as it is for alerts of the caller's workspaces; with `workspace` that workspace's
        branch."""
        chosen = permissions.scope_of(self.actor, request.query_params).chosen
        return self.answer(Workspace.objects.get(slug=chosen) if chosen else None)

    @extend_schema(parameters=[IF_MATCH, ETAG], responses={200: RoutingSerializer})
    @action(detail=False, methods=["post"])
    def apply(self, request: Request) -> Response:
        """Put an Alertmanager configuration in force, or a workspace's branch; its receivers become channels, or name
        those that there are."""
        workspace, asked = self.to_change(), RoutingSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        text = asked.validated_data["text"]
        try:
            with self.editing(workspace):
                left_out = routing_preview.apply(text, workspace, self.actor, timezone.now())
        except ConfigurationError as error:
            raise ValidationError({"text": str(error)}) from error
        return self.answer(workspace, left_out)

    @extend_schema(responses={200: RoutingPreviewSerializer})
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """How many messages the alerts of the last 7 days would have made under the text, and under what is in force.
        Nothing is changed."""
        workspace, asked = self.to_change(), RoutingSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        now = timezone.now()
        try:
            planned = routing_preview.planned(asked.validated_data["text"], workspace, self.actor, now)
        except ConfigurationError as error:
            raise ValidationError({"text": str(error)}) from error
        found = compare(current_policy(), planned, frozenset({workspace.slug}) if workspace else None, now)
        fields = {"alerts": found.after.alerts, "before": found.before.total, "after": found.after.total}
        receivers = [{"receiver": name, "before": old, "after": new} for name, old, new in found.rows]
        return Response(RoutingPreviewSerializer({**fields, "receivers": receivers}).data)

    @extend_schema(request=BranchSerializer, parameters=[IF_MATCH], responses={204: None})
    @action(detail=False, methods=["post"])
    def remove(self, request: Request) -> Response:
        """Go back to each rule's own choice of channels; with `workspace` take only its branch out of the tree."""
        workspace = self.to_change()
        try:
            with self.editing(workspace):
                if workspace is not None:
                    remove_branch(workspace, by=self.actor, now=timezone.now())
                else:
                    edits.remove_routing(by=self.actor, now=timezone.now())
        except ConfigurationError as error:
            raise ValidationError({"workspace": str(error)}) from error
        return Response(status=204)
