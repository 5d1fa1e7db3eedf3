"""Addresses of records in and series out."""

from django.urls import path

from usage import views_boards, views_cost, views_demo, views_ingest, views_metrics

urlpatterns = [
    path("coverage/", views_boards.coverage, name="coverage"),
    path("providers/", views_boards.providers, name="providers"),
    path("tools/", views_boards.tools, name="tools"),
    path("cost/", views_cost.page, name="cost"),
    path("cost/budgets/", views_cost.save, name="budget-add"),
    path("cost/budgets/<int:budget_id>/", views_cost.save, name="budget-save"),
    path("cost/budgets/<int:budget_id>/delete/", views_cost.delete, name="budget-delete"),
    path("api/v1/usage", views_ingest.usage, name="usage"),
    path("api/v1/receipts/<uuid:receipt_id>", views_ingest.receipt, name="receipt"),
    path("demo/start/", views_demo.start, name="demo-start"),
    path("demo/stop/", views_demo.stop, name="demo-stop"),
    path("panels/<slug:board_id>/<slug:panel_id>.json", views_boards.figure, name="panel-figure"),
    path("panels/<slug:board_id>/<slug:panel_id>.csv", views_boards.data, name="panel-data"),
    path("metrics", views_metrics.metrics, name="metrics"),
]
