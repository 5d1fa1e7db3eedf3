"""Addresses of alerts, rules, channels and runbooks."""

from django.urls import path

from alerts import views_alerts, views_channels, views_rules, views_runbooks

urlpatterns = [
    path("alerts/", views_alerts.page, name="alerts"),
    path("alerts/<int:alert_id>/", views_alerts.detail, name="alert"),
    path("alerts/<int:alert_id>/figure", views_alerts.figure, name="alert-figure"),
    path("alerts/<int:alert_id>/acknowledge", views_alerts.take, name="alert-acknowledge"),
    path("alerts/<int:alert_id>/give-back", views_alerts.give_back, name="alert-give-back"),
    path("rules/", views_rules.page, name="rules"),
    path("rules/new/", views_rules.new, name="rule-new"),
    path("rules/<int:rule_id>/", views_rules.detail, name="rule"),
    path("rules/<int:rule_id>/enable", views_rules.enable, name="rule-enable"),
    path("rules/<int:rule_id>/delete/", views_rules.delete, name="rule-delete"),
    path("rules/<int:rule_id>/undo/<int:version>", views_rules.undo, name="rule-undo"),
    path("channels/", views_channels.page, name="channels"),
    path("channels/new/<slug:kind>/", views_channels.new, name="channel-new"),
    path("channels/<int:channel_id>/", views_channels.detail, name="channel"),
    path("channels/<int:channel_id>/edit/", views_channels.edit, name="channel-edit"),
    path("channels/<int:channel_id>/delete/", views_channels.delete, name="channel-delete"),
    path("channels/<int:channel_id>/test", views_channels.test, name="channel-test"),
    path("deliveries/<int:delivery_id>/retry", views_channels.retry, name="delivery-retry"),
    path("runbooks/", views_runbooks.page, name="runbooks"),
    path("runbooks/new/", views_runbooks.new, name="runbook-new"),
    path("runbooks/<slug:slug>/", views_runbooks.detail, name="runbook"),
    path("runbooks/<slug:slug>/edit/", views_runbooks.edit, name="runbook-edit"),
    path("runbooks/<slug:slug>/restore/<int:number>", views_runbooks.restore, name="runbook-restore"),
]
