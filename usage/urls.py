"""Addresses of records in and series out."""

from django.urls import path

from usage.boards import cost_views
from usage.boards import views as board_views
from usage.ingest import views as ingest_views
from usage.pages import ingestion, keys, prices
from usage.relabelling import pages as label_rules
from usage.samples import views as demo_views

urlpatterns = [
    path("coverage/", board_views.coverage, name="coverage"),
    path("providers/", board_views.providers, name="providers"),
    path("tools/", board_views.tools, name="tools"),
    path("cost/", cost_views.page, name="cost"),
    path("cost/budgets/", cost_views.save, name="budget-add"),
    path("cost/budgets/<int:budget_id>/", cost_views.save, name="budget-save"),
    path("cost/budgets/<int:budget_id>/delete/", cost_views.delete, name="budget-delete"),
    path("api/v1/usage", ingest_views.usage, name="usage"),
    path("api/v1/receipts/<uuid:receipt_id>", ingest_views.receipt, name="receipt"),
    path("demo/start/", demo_views.start, name="demo-start"),
    path("demo/stop/", demo_views.stop, name="demo-stop"),
    path("panels/<slug:board_id>/<slug:panel_id>.json", board_views.figure, name="panel-figure"),
    path("panels/<slug:board_id>/<slug:panel_id>.csv", board_views.data, name="panel-data"),
    path("ingestion/", ingestion.page, name="ingestion"),
    path("ingestion/figure", ingestion.figure, name="ingestion-figure"),
    path("ingestion/receipts/<uuid:receipt_id>/", ingestion.receipt, name="receipt-page"),
    path("ingestion/dead-letters/<int:letter_id>/", ingestion.dead_letter, name="dead-letter"),
    path("ingestion/dead-letters/<int:letter_id>/replay", ingestion.replay, name="dead-letter-replay"),
    path("ingestion/dead-letters/<int:letter_id>/discard/", ingestion.discard_letter, name="dead-letter-discard"),
    path("ingestion/labels/", label_rules.save, name="label-rule-new"),
    path("ingestion/labels/<int:label_rule_id>/", label_rules.save, name="label-rule"),
    path("ingestion/labels/<int:label_rule_id>/delete/", label_rules.delete, name="label-rule-delete"),
    path("keys/", keys.page, name="keys"),
    path("keys/new/", keys.new, name="key-new"),
    path("keys/<int:key_id>/revoke/", keys.revoke, name="key-revoke"),
    path("prices/", prices.page, name="prices"),
    path("prices/new/", prices.edit, name="price-new"),
    path("prices/<int:price_id>/", prices.edit, name="price-edit"),
    path("prices/<int:price_id>/delete", prices.delete, name="price-delete"),
]
