"""Addresses of Jaeger's query API, below `/api/`."""

from django.urls import path

from portal.jaeger import views

urlpatterns = [
    path("services", views.services, name="jaeger-services"),
    path("services/<path:service>/operations", views.operations_of, name="jaeger-service-operations"),
    path("operations", views.operations, name="jaeger-operations"),
    path("traces", views.traces, name="jaeger-traces"),
    path("traces/<slug:trace_id>", views.trace, name="jaeger-trace"),
    path("dependencies", views.dependencies, name="jaeger-dependencies"),
]
