"""The page of the audit log: who changed what, and its exports."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from core.accounts import permissions
from core.audit import queries
from core.audit.models import AuditLine
from core.audit.queries import AuditFilter

COLUMNS = (
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


class AuditForm(forms.Form):
    """The filters, as in the URL."""

    text = forms.CharField(required=False, max_length=200, label="Name or action")
    actor = forms.CharField(required=False, max_length=200, label="By")
    via = forms.ChoiceField(required=False, choices=[("", "any way"), *AuditLine.Via.choices])
    object_type = forms.ChoiceField(required=False, label="What")
    object_id = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)
    workspace = forms.ChoiceField(required=False)
    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        choices = {
            "object_type": [("", "anything"), *((one, one) for one in queries.object_types(user))],
            "workspace": [("", "all"), *((slug, slug) for slug in permissions.scope_of(user, {}).choices)],
        }
        for name, found in choices.items():
            field = self.fields[name]
            if isinstance(field, forms.ChoiceField):
                field.choices = found

    @property
    def wanted(self) -> AuditFilter:
        """The filter; what could not be read does not filter."""
        given = dict(self.cleaned_data) if self.is_valid() else {**self.cleaned_data}
        since, until = given.pop("since", None), given.pop("until", None)
        return AuditFilter(**given, since=midnight(since), until=midnight(until + timedelta(days=1)) if until else None)

    @property
    def page(self) -> int:
        """The page of the list, from 1."""
        text = str(self.data.get("page", "1"))
        return max(int(text), 1) if text.isdecimal() and len(text) < 5 else 1


def midnight(day: date | None) -> datetime | None:
    """The start of the day, UTC."""
    return datetime.combine(day, time.min, UTC) if day else None


@permissions.operator_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The log, newest first."""
    user = permissions.person_of(request)
    form = AuditForm(request.GET, user=user)
    wanted = form.wanted
    context = {
        "form": form,
        "listed": queries.page(user, wanted, form.page),
        "is_filtering": wanted != AuditFilter(),
    }
    return render(request, "core/audit.html", context)


@permissions.operator_required
@require_GET
def export(request: HttpRequest, form: str) -> StreamingHttpResponse:
    """The matching lines as CSV or NDJSON, newest first, as many as are exported at once."""
    user = permissions.person_of(request)
    found = queries.lines(user, AuditForm(request.GET, user=user).wanted)[: queries.MAX_EXPORTED]
    rows = found.values(*COLUMNS).iterator(chunk_size=1000)
    if form == "csv":
        answer = StreamingHttpResponse(as_csv(rows), content_type="text/csv; charset=utf-8")
    else:
        answer = StreamingHttpResponse(as_ndjson(rows), content_type="application/x-ndjson")
    answer["Content-Disposition"] = f'attachment; filename="audit-log.{form}"'
    return answer


class _Echo:
    """Hands each line that is written back to the writer's caller."""

    def write(self, text: str) -> str:
        return text


def as_csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A header, then a line each. What a spreadsheet would take for a formula is quoted with an apostrophe."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for row in rows:
        yield writer.writerow([cell(row[name]) for name in COLUMNS])


def cell(value: Any) -> str:
    """A value as text of a CSV file."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def as_ndjson(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """An object per line."""
    for row in rows:
        yield json.dumps({**row, "at": row["at"].isoformat()}, ensure_ascii=False) + "\n"
