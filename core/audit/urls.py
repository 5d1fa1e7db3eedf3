"""Addresses of the audit log."""

from django.urls import path

from core.audit import page

urlpatterns = [
    path("", page.page, name="audit"),
    path("export.csv", page.export, {"form": "csv"}, name="audit-csv"),
    path("export.ndjson", page.export, {"form": "ndjson"}, name="audit-ndjson"),
]
