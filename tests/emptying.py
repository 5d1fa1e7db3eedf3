"""Empties the database after a test that commits.

Django's own flush truncates every table and makes all permissions anew, which takes far longer than most of these
tests: only what has rows is emptied here, and what Django itself puts into a new database stays.
"""

from __future__ import annotations

from django.db import connection, transaction

from core.process_cache import forget_all

# What has rows is asked of each table whose file is not empty. A row of a table that others point at is deleted, with
# the check put off to the end; a large table to which nothing points is truncated instead. Lines of the audit log
# cannot be deleted: its partitions are dropped (tests.records).
_EMPTY = """
DO $$
DECLARE
    one record;
    dirty boolean;
BEGIN
    SET CONSTRAINTS ALL DEFERRED;
    FOR one IN
        SELECT c.oid::regclass AS name, pg_relation_size(c.oid) AS size,
            EXISTS (SELECT FROM pg_constraint f WHERE f.confrelid = c.oid AND f.contype = 'f') AS has_references
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0
        AND c.relname NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
        AND c.relname NOT LIKE 'audit_line%'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one.name) INTO dirty;
        IF one.size > 1000000 AND NOT one.has_references THEN
            EXECUTE format('TRUNCATE %s', one.name);
        ELSIF dirty THEN
            EXECUTE format('DELETE FROM %s', one.name);
        END IF;
    END LOOP;
END
$$
"""
_RESTART = """
SELECT setval(quote_ident(sequencename)::regclass, start_value, false) FROM pg_sequences
WHERE schemaname = 'public' AND last_value IS NOT NULL AND sequencename <> ALL (%s)
"""
_KEPT = [f"{table}_id_seq" for table in ("django_migrations", "django_content_type", "auth_permission", "audit_line")]


def empty_tables() -> None:
    """Delete every row but those of migrations, content types, permissions and the audit log; ids begin at 1 again,
    and what this process remembers by the old ones is forgotten."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_EMPTY)
        cursor.execute(_RESTART, [_KEPT])
    forget_all()
