"""Which objects come from files (`manage.py apply`)."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Model
from django.utils import timezone

from core.api.models import ManagedObject


def manage(instance: Model, file: str) -> None:
    """Remember that it comes from the file."""
    ManagedObject.objects.update_or_create(
        kind=instance._meta.label_lower,
        object_id=str(instance.pk),
        defaults={"file": file[:500], "applied_at": timezone.now()},
    )


def file_of(instance: Model) -> str:
    """The file that it comes from; empty for what people made."""
    found = ManagedObject.objects.filter(kind=instance._meta.label_lower, object_id=str(instance.pk))
    return found.values_list("file", flat=True).first() or ""


def files_of(model: type[Model], instances: Iterable[Model]) -> dict[str, str]:
    """The files of these objects of one model, by the text of their keys; what people made is left out."""
    ids = [str(one.pk) for one in instances]
    found = ManagedObject.objects.filter(kind=model._meta.label_lower, object_id__in=ids)
    return dict(found.values_list("object_id", "file"))


def forget(kind: str, object_id: str) -> None:
    """It is gone."""
    ManagedObject.objects.filter(kind=kind, object_id=object_id).delete()
