"""Addresses of Explore."""

from django.urls import path

from portal.explore import views

urlpatterns = [
    path("", views.page, name="explore"),
    path("figure.json", views.figure, name="explore-figure"),
    path("graph.csv", views.graph_data, name="explore-graph-data"),
    path("table.csv", views.table_data, name="explore-table-data"),
    path("check", views.check, name="explore-check"),
    path("completion.json", views.completions, name="explore-completion"),
    path("history/delete", views.forget, name="explore-forget"),
]
