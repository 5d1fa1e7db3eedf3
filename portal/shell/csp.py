"""Response headers that bound what a page may do: a strict Content-Security-Policy, without inline script or style."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# data: and blob: images are what plotly.js makes when a panel is saved as PNG.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
FEATURES = ", ".join(f"{name}=()" for name in ("camera", "geolocation", "microphone", "payment", "usb"))


class ContentSecurityPolicyMiddleware:
    """Adds the headers to every response."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", FEATURES)
        return response
