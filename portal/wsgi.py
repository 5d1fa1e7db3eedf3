"""The web server's entrance."""

import gc
import os
import sys

from django.core.wsgi import get_wsgi_application
from django.db.backends.signals import connection_created

from portal.patience import bound_statements

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = get_wsgi_application()
connection_created.connect(bound_statements)

# What is loaded by now stays, and a batch of records makes tens of thousands of objects that go at its end: looking through all of
# them every 700 allocations cost a tenth of the time that storing a batch takes.
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 50, 100)

# How long (seconds) a thread that comes back from Postgres waits for one that computes: Python's own 5 ms are a fifth of a batch's time.
sys.setswitchinterval(0.0005)
