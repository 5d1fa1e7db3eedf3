"""Addresses of Alertmanager's API."""

from django.urls import path

from alerts.alertmanager import views

urlpatterns = [
    path("alerts", views.alerts, name="am-alerts"),
    path("alerts/groups", views.alert_groups, name="am-groups"),
    path("receivers", views.receivers, name="am-receivers"),
    path("silences", views.silences, name="am-silences"),
    path("silence/<uuid:silence_id>", views.silence, name="am-silence"),
    path("status", views.status, name="am-status"),
]
