"""What `up` does to a prepared database: nothing."""

import pytest
from django.db.migrations.recorder import MigrationRecorder

from portal.run.prepare import is_migrated

pytestmark = pytest.mark.django_db


def test_a_database_is_migrated_when_it_has_every_migration_of_the_code() -> None:
    assert is_migrated()
    MigrationRecorder.Migration.objects.filter(app="portal", name="0002_tables").delete()
    assert not is_migrated()
