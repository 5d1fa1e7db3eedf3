"""Django's settings, all derived from `portal.env`. Code reads the portal's own ones as `settings.PORTAL.<name>`."""

import os
import secrets
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from portal.env import Config, ConfigError, load
from portal.people.providers import Provider, parse_providers
from portal.run.postgres import EmbeddedPostgres

BASE_DIR = Path(__file__).resolve().parent.parent

try:
    PORTAL: Config = load()
except ConfigError as error:
    sys.exit("\n".join(f"portal: {line}" for line in str(error).splitlines()))


def _secret_key(config: Config) -> str:
    """The configured key, or one that is made once and kept in the data folder, readable by its owner only."""
    if config.secret_key:
        return config.secret_key
    path = config.data_dir / "secret_key"
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # Linked into place whole: of two processes that start at once, one wins and both read the same key.
            draft = path.with_name(f"secret_key.{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(50))
            with suppress(FileExistsError):
                path.hardlink_to(draft)
            draft.unlink()
        return path.read_text()
    except OSError as error:
        sys.exit(f"portal: the data folder {config.data_dir} cannot be used: {error.strerror} ({error.filename})")


def _database(url: str) -> dict[str, object]:
    """Django's form of a libpq URL. What Django has no name for goes to libpq as it is."""
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        sys.exit(f"portal: DATABASE_URL: {str(error).splitlines()[0]}")
    return {
        "ENGINE": "core.pg.backend",
        "NAME": parameters.pop("dbname", "portal"),
        "USER": parameters.pop("user", ""),
        "PASSWORD": parameters.pop("password", ""),
        "HOST": parameters.pop("host", ""),
        "PORT": parameters.pop("port", ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": PORTAL.database_timeout, **parameters},
    }


def _providers(text: str) -> list[Provider]:
    """The OpenID providers of the setting."""
    try:
        return parse_providers(text)
    except ValueError as error:
        sys.exit(f"portal: PORTAL_OIDC_PROVIDERS: {error}")


def _package_folder(name: str) -> Path:
    """Where an installed package lies, found without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        sys.exit(f"portal: the package {name} is not installed")
    return Path(spec.origin).parent


SECRET_KEY = _secret_key(PORTAL)
DEBUG = PORTAL.debug
ALLOWED_HOSTS = [*PORTAL.allowed_hosts] or [
    urlsplit(PORTAL.public_url).hostname or "localhost",
    "localhost",
    "127.0.0.1",
    "[::1]",
]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_prometheus",
    "core.ui",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "core.accounts",
    "core.audit",
    "core.api",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "portal",
    "usage",
    "telemetry",
    "alerts",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "portal.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "portal.shell.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.people.proxy.ProxySignInMiddleware",
    "core.audit.origin.OriginMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.shell.sign_in.OneTimePasswordMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
    "portal.shell.slots.SlotsMiddleware",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["core.ui.templatetags.format"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.shell.navigation.sidebar",
            ],
        },
    }
]
DATABASE_URL = PORTAL.database_url or EmbeddedPostgres(PORTAL.data_dir).url()
DATABASES = {"default": _database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static", ("plotly", _package_folder("plotly") / "package_data")]
STATIC_ROOT = PORTAL.data_dir / "static"
LOGIN_URL = "login"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "django.contrib.auth.backends.ModelBackend",
]
ACCOUNT_ADAPTER = "portal.people.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
# A key is an account at an address, or in a browser that signed in before (portal.people.attempts), never an account
# alone: else anybody could keep somebody else from signing in.
ACCOUNT_RATE_LIMITS = {
    "login": None,
    "login_failed": "10/m/key,60/h/key,100/m/ip,600/h/ip",
    "login_failed_known_browser": "10/m/key,60/h/key",
}
# allauth counts in the cache: one that all web processes share.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "sign_in_attempts",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if PORTAL.trusted_proxy else 0
SOCIALACCOUNT_ADAPTER = "portal.people.adapters.SocialAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [one.app() for one in _providers(PORTAL.oidc_providers)]}}
MFA_ADAPTER = "portal.people.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "LLM usage"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PORTAL.public_url.startswith("https://")
EMAIL_BACKEND = "portal.people.mail.PortalMail"
DEFAULT_FROM_EMAIL = PORTAL.email_from
LOGIN_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PORTAL.public_url.startswith("https://")
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(PORTAL.public_url))]
SECURE_HSTS_SECONDS = 31_536_000 if PORTAL.public_url.startswith("https://") else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PORTAL.trusted_proxy else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "core.api.authentication.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["core.api.access.MayAccess"],
    "DEFAULT_PARSER_CLASSES": ["core.api.parsers.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "core.api.pages.NumberedPages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_SCHEMA_CLASS": "core.api.schema.ResourceSchema",
    "EXCEPTION_HANDLER": "core.api.problems.answer_of",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "LLM usage portal",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "SeverityEnum": "alerts.models.Severity",
        "WithoutDataEnum": "alerts.models.WithoutData",
        "ChannelKindEnum": "alerts.models.Channel.Kind",
        "AlertStateEnum": "alerts.models.State",
        "DeliveryStateEnum": "alerts.models.Delivery.State",
        "ReceiptStateEnum": "usage.models.Receipt.STATES",
        "KeyStateEnum": "core.accounts.models.ApiKey.STATES",
        "ViaEnum": "core.audit.models.AuditLine.Via",
        "BudgetStateEnum": "usage.boards.costs.STATES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "portal.api.other_paths.add",
    ],
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    # What a client did wrong is the client's to know; of our own errors the console tells, not Django's mail to admins.
    "loggers": {"django": {"handlers": [], "level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
