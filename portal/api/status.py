"""How the portal is set up."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.accounts.models import Workspace
from core.api.resources import Resource
from portal.shell.settings_page import shown_settings


class SettingSerializer(serializers.Serializer[Any]):
    """One setting; of a secret only whether it is set."""

    name = serializers.CharField()
    section = serializers.CharField()
    value = serializers.CharField(allow_blank=True)
    unit = serializers.CharField(allow_blank=True)
    source = serializers.CharField(  # type: ignore[assignment]  # a field of that name
        allow_blank=True, help_text="The variable that it comes from; empty: the default."
    )
    doc = serializers.CharField()
    is_default = serializers.BooleanField()


@extend_schema(tags=["portal"])
class Settings(Resource[Any]):
    """The portal's settings, for operators. They come from the environment and are changed there."""

    queryset = Workspace.objects.none()
    serializer_class = SettingSerializer
    readers = "operators"
    pagination_class = None
    filter_backends = ()

    @extend_schema(responses=SettingSerializer(many=True))
    def list(self, request: Request) -> Response:
        """All settings in their order."""
        return Response(SettingSerializer(shown_settings(settings.PORTAL, os.environ), many=True).data)
