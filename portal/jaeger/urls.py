"""Addresses of Jaeger's query APIs, below `/api/`."""

from django.urls import path

from portal.jaeger import v3, views

urlpatterns = [
    path("services", views.services, name="jaeger-services"),
    path("services/<path:service>/operations", views.operations_of, name="jaeger-service-operations"),
    path("operations", views.operations, name="jaeger-operations"),
    path("traces", views.traces, name="jaeger-traces"),
    path("traces/<slug:trace_id>", views.trace, name="jaeger-trace"),
    path("dependencies", views.dependencies, name="jaeger-dependencies"),
    path("v3/services", v3.services, name="jaeger-v3-services"),
    path("v3/operations", v3.operations, name="jaeger-v3-operations"),
    path("v3/traces", v3.traces, name="jaeger-v3-traces"),
    path("v3/traces/<slug:trace_id>", v3.trace, name="jaeger-v3-trace"),
    path("v3/trace-summaries", v3.summaries, name="jaeger-v3-summaries"),
    path("v3/dependencies", v3.dependencies, name="jaeger-v3-dependencies"),
]
