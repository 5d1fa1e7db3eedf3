"""An object that comes from a file is known by its id, which a new name leaves as it is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("api", "0001_tables")]
    operations = [
        migrations.RemoveConstraint("managedobject", "managed_object_once"),
        migrations.RenameField("managedobject", "name", "object_id"),
        migrations.AlterField("managedobject", "object_id", models.CharField(max_length=40)),
        migrations.AddConstraint(
            "managedobject", models.UniqueConstraint(fields=["kind", "object_id"], name="managed_object_once")
        ),
    ]
