"""Records for the pages of the portal come as in the tests of `usage`."""

from tests.usage.conftest import configure, sender, spool_folder, tables, workspace

__all__ = ["configure", "sender", "spool_folder", "tables", "workspace"]
