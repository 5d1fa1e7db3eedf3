"""What these tests share with those of records: an application that sends to committed tables."""

from tests.usage.conftest import configure, fixed_time, sender, spool_folder, tables, workspace

__all__ = ["configure", "fixed_time", "sender", "spool_folder", "tables", "workspace"]
