"""Addresses of the Prometheus HTTP API."""

from django.urls import path

from portal.promapi import views_query, views_rules, views_series, views_status

urlpatterns = [
    path("query", views_query.query),
    path("query_range", views_query.query_range),
    path("query_exemplars", views_query.query_exemplars),
    path("format_query", views_query.format_query),
    path("parse_query", views_query.parse_query),
    path("series", views_series.series),
    path("labels", views_series.labels),
    path("label/<str:name>/values", views_series.label_values),
    path("metadata", views_series.metadata),
    path("rules", views_rules.rules),
    path("alerts", views_rules.alerts),
    path("status/buildinfo", views_status.buildinfo),
    path("status/runtimeinfo", views_status.runtimeinfo),
    path("targets", views_status.targets),
]
