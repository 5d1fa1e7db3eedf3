"""Addresses of on-call schedules, escalation policies and one's own means."""

from django.urls import path

from alerts.oncall import pages

urlpatterns = [
    path("", pages.page, name="on-call"),
    path("schedules/new/", pages.new, name="schedule-new"),
    path("schedules/<int:schedule_id>/", pages.detail, name="schedule"),
    path("schedules/<int:schedule_id>/edit/", pages.edit, name="schedule-edit"),
    path("schedules/<int:schedule_id>/delete", pages.delete, name="schedule-delete"),
    path("schedules/<int:schedule_id>/rotations", pages.rotation_add, name="rotation-add"),
    path(
        "schedules/<int:schedule_id>/rotations/<int:rotation_id>/remove", pages.rotation_remove, name="rotation-remove"
    ),
    path("schedules/<int:schedule_id>/overrides", pages.override_add, name="override-add"),
    path(
        "schedules/<int:schedule_id>/overrides/<int:override_id>/remove", pages.override_remove, name="override-remove"
    ),
    path("schedules/<int:schedule_id>/calendar/renew", pages.feed_renew, name="schedule-feed-renew"),
    path("calendars/<str:token>.ics", pages.feed, name="schedule-feed"),
    path("policies/new/", pages.policy_new, name="policy-new"),
    path("policies/<int:policy_id>/", pages.policy_edit, name="policy"),
    path("policies/<int:policy_id>/delete", pages.policy_delete, name="policy-delete"),
    path("me/", pages.my_means, name="my-means"),
    path("me/new/<slug:kind>/", pages.means_new, name="means-new"),
    path("me/<int:channel_id>/remove", pages.means_remove, name="means-remove"),
    path("me/<int:channel_id>/test", pages.means_test, name="means-test"),
]
