"""The web server's entrance."""

import gc
import os
import sys

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from core.pg.statement_timeout import with_statement_timeout
from portal.tracing.start import start_tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
start_tracing()  # before the application, whose middleware it adds to
# Before the first connection. Tasks and commands may take as long as they need.
settings.DATABASES["default"] = with_statement_timeout(settings.DATABASES["default"])
application = get_wsgi_application()

from portal.self_watch import start  # noqa: E402 models can be imported once the application has loaded the apps

start()

# What is loaded by now stays, and a batch of records makes tens of thousands of objects that go at its end: looking
# through all of them every 700 allocations cost a tenth of the time that storing a batch takes.
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 50, 100)

# How long (seconds) a thread that comes back from Postgres waits for one that computes: Python's own 5 ms are a fifth
# of a batch's time.
sys.setswitchinterval(0.0005)
