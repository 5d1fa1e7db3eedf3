"""Addresses of the REST API."""

from django.urls import include, path

from portal.api import docs
from portal.api.router import router

urlpatterns = [
    path("schema/", docs.SCHEMA, name="api-schema"),
    path("docs/", docs.PAGE, name="api-docs"),
    path("v1/", include(router.urls)),
    path("v1/", include("portal.promapi.urls")),
]
