"""The schema and the pages that show it, from the files of drf-spectacular-sidecar, without a script or style in the
page."""

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

# What there is to ask for is no secret; what is answered needs a key or a login.
SCHEMA = SpectacularAPIView.as_view(permission_classes=[AllowAny], authentication_classes=[])
PAGE = SpectacularSwaggerSplitView.as_view(
    permission_classes=[AllowAny],
    authentication_classes=[],
    url_name="api-schema",
    template_name="portal/api_docs.html",
)
