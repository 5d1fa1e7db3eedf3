"""The database of a test process is a copy of a template, which the first process that migrates leaves behind.

Templates stay in the cluster until a migration changes, or what is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection

from portal.run.postgres import ROLE, SUPERUSER, EmbeddedPostgres
from tests.settings import ROOT, TEST_DATA

PREFIX = "migrated_"


def template_name() -> str:
    """Another one for each state of the migrations."""
    found = hashlib.sha256((ROOT / "requirements.txt").read_bytes())
    for folder in sorted(ROOT.glob("[a-z]*/**/migrations")):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".sql")):
            found.update(path.read_bytes())
    return PREFIX + found.hexdigest()[:16]


@contextmanager
def templated() -> Iterator[None]:
    """While Django makes its database here, it copies the template; without one, its database becomes the template.

    Other processes wait meanwhile."""
    name = template_name()
    server = psycopg.connect(EmbeddedPostgres(TEST_DATA).url(ROLE, SUPERUSER), autocommit=True)
    with (TEST_DATA / "template.lock").open("w") as lock, server:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = server.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX]).fetchall()
        known = [one for (one,) in rows]
        if name in known:
            connection.settings_dict["TEST"]["TEMPLATE"] = name
        yield
        if name not in known:
            for old in known:
                server.execute(f"DROP DATABASE {old}")
            made = connection.settings_dict["NAME"]
            connection.close()
            server.execute(f"CREATE DATABASE {name} TEMPLATE {made}")
