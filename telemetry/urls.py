"""Addresses of OpenTelemetry in."""

from django.urls import path

from telemetry.otlp import views
from telemetry.send_data import views as send_data

urlpatterns = [
    path("send-data/", send_data.page, name="send-data"),
    path("send-data/arrived", send_data.arrived, name="send-data-arrived"),
    path("v1/traces", views.signal, {"signal": "traces"}, name="otlp-traces"),
    path("otlp/v1/traces", views.signal, {"signal": "traces"}),
    path("v1/metrics", views.signal, {"signal": "metrics"}, name="otlp-metrics"),
    path("otlp/v1/metrics", views.signal, {"signal": "metrics"}),
    path("v1/logs", views.signal, {"signal": "logs"}, name="otlp-logs"),
    path("otlp/v1/logs", views.signal, {"signal": "logs"}),
    path("api/v1/litellm", views.litellm, name="litellm"),
    path("api/public/otel/v1/traces", views.signal, {"signal": "traces"}, name="langfuse-traces"),
]
