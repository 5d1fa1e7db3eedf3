"""Addresses of records in and series out."""

from django.urls import path

from usage import (
    views_boards,
    views_cost,
    views_demo,
    views_ingest,
    views_ingestion,
    views_keys,
    views_metrics,
    views_prices,
)

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
    path("ingestion/", views_ingestion.page, name="ingestion"),
    path("ingestion/figure", views_ingestion.figure, name="ingestion-figure"),
    path("ingestion/receipts/<uuid:receipt_id>/", views_ingestion.receipt, name="receipt-page"),
    path("ingestion/dead-letters/<int:letter_id>/", views_ingestion.dead_letter, name="dead-letter"),
    path("ingestion/dead-letters/<int:letter_id>/replay", views_ingestion.replay, name="dead-letter-replay"),
    path("ingestion/dead-letters/<int:letter_id>/discard/", views_ingestion.discard_letter, name="dead-letter-discard"),
    path("keys/", views_keys.page, name="keys"),
    path("keys/new/", views_keys.new, name="key-new"),
    path("keys/<int:key_id>/revoke/", views_keys.revoke, name="key-revoke"),
    path("prices/", views_prices.page, name="prices"),
    path("prices/new/", views_prices.edit, name="price-new"),
    path("prices/<int:price_id>/", views_prices.edit, name="price-edit"),
    path("prices/<int:price_id>/delete", views_prices.delete, name="price-delete"),
    path("metrics", views_metrics.metrics, name="metrics"),
]
