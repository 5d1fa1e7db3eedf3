"""Addresses of the pages of traces and logs."""

from django.urls import path

from telemetry.pages import completion, saved_views
from telemetry.pages.logs import logs
from telemetry.pages.traces import trace, traces

urlpatterns = [
    path("traces/", traces.page, name="traces"),
    path("traces/figure", traces.figure, name="traces-figure"),
    path("traces/values", completion.trace_values, name="traces-values"),
    path("traces/list.csv", traces.download, name="traces-csv"),
    path("traces/compare/", trace.compare, name="trace-compare"),
    path("traces/<slug:trace_id>/", trace.page, name="trace"),
    path("traces/<slug:trace_id>/records/", trace.records, name="trace-records"),
    path("traces/<slug:trace_id>/cost/", trace.cost, name="trace-cost"),
    path("traces/<slug:trace_id>/otlp.json", trace.otlp, name="trace-otlp"),
    path("traces/<slug:trace_id>/spans/<slug:span_id>/", trace.span, name="trace-span"),
    path("saved-views/", saved_views.save, name="saved-view-add"),
    path("saved-views/<int:view_id>/delete", saved_views.delete, name="saved-view-delete"),
    path("logs/", logs.page, name="logs"),
    path("logs/values", completion.log_values, name="logs-values"),
    path("logs/figure", logs.figure, name="logs-figure"),
    path("logs/around/<slug:place>/", logs.around, name="log-around"),
    path("logs/content/<slug:place>/", logs.content, name="log-content"),
    path("logs/lines.<slug:form>", logs.download, name="logs-download"),
]
