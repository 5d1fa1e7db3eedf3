"""Addresses of records in and series out."""

from django.urls import path

from usage import views_demo, views_ingest, views_metrics

urlpatterns = [
    path("api/v1/usage", views_ingest.usage, name="usage"),
    path("api/v1/receipts/<uuid:receipt_id>", views_ingest.receipt, name="receipt"),
    path("demo/start/", views_demo.start, name="demo-start"),
    path("demo/stop/", views_demo.stop, name="demo-stop"),
    path("metrics", views_metrics.metrics, name="metrics"),
]
