"""The first page: is usage being recorded, does anything need me?"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from usage import access, ranges


@login_required
def page(request: HttpRequest) -> HttpResponse:
    """The overview of the workspaces that the reader may see."""
    context = {
        "scope": access.read(request.user, request.GET),
        "time_range": ranges.read(request.GET, timezone.now()),
    }
    return render(request, "portal/overview.html", context)
