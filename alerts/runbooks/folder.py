"""Runbooks from a folder of Markdown files, such as a checkout of a git repository: what is there becomes the text, and
people change it there.

A file may begin with front matter (`---`, YAML with `slug` and `title`, `---`); else its name gives the slug and its
first heading the title.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.text import slugify

from alerts.models import Runbook
from alerts.runbooks import edits
from core.accounts.holder import Actor, Console
from core.accounts.models import Workspace
from core.api import managed
from core.api.models import ManagedObject
from core.bounded_yaml import BoundedLoader

FOLDER = "runbooks folder: "
MAX_FILES, MAX_BYTES, LONGEST_TITLE = 2000, 200_000, 200
FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*\n", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#[ \t]+(\S.*?)[ \t]*#*$", re.MULTILINE)
SLUG = re.compile(r"[-a-zA-Z0-9_]{1,100}")
READER = Console("runbooks folder")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunbookFile:
    """A file of the folder, by its path there."""

    path: str
    slug: str
    title: str
    text: str


@dataclass
class Imported:
    """What became of the files, by slug; `problems` are lines about files that were left out."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def import_folder(
    folder: Path, workspace: Workspace | None, *, now: dt.datetime, by: Actor = READER, dry_run: bool = False
) -> Imported:
    """Make or change the owner's runbooks as the files of the folder say. A runbook whose file is gone stays, and is
    people's again. Raises OSError where the folder cannot be read."""
    found = Imported()
    files = dict(_files(folder, found.problems))
    with transaction.atomic():
        known = {one.slug: one for one in Runbook.objects.filter(slug__in=files).select_related("workspace")}
        for slug, file in sorted(files.items()):
            runbook = known.get(slug)
            if runbook is not None and runbook.workspace != workspace:
                found.problems.append(f"{file.path}: the slug {slug} is taken by a runbook of another owner")
                continue
            _take(file, runbook, workspace, found, now=now, by=by)
        _release(workspace, set(files), found)
        if dry_run:
            transaction.set_rollback(True)
    return found


def read_configured_folder(now: dt.datetime) -> None:
    """Read the folder of the setting, if there is one; what is wrong with it is logged."""
    folder = settings.PORTAL.runbooks_dir
    if folder is None:
        return
    try:
        found = import_folder(folder, None, now=now)
    except OSError as error:
        logger.error("the folder of runbooks cannot be read: %s", error)
        return
    for problem in found.problems:
        logger.warning("a runbook was left out: %s", problem)


def _take(
    file: RunbookFile,
    runbook: Runbook | None,
    workspace: Workspace | None,
    found: Imported,
    *,
    now: dt.datetime,
    by: Actor,
) -> None:
    if runbook is None:
        runbook = edits.create_runbook(file.slug, file.title, file.text, by=by, now=now, workspace=workspace)
        found.new.append(file.slug)
    else:
        before = runbook.edition_mark
        changed = edits.save_version(runbook, file.text, by=by, now=now).number != before
        if runbook.title != file.title:
            edits.rename_runbook(runbook, file.title, by=by)
            changed = True
        (found.changed if changed else found.same).append(file.slug)
    managed.manage(runbook, f"{FOLDER}{file.path}")


def _release(workspace: Workspace | None, slugs: set[str], found: Imported) -> None:
    """Give back to people what came from a file that is gone."""
    kind = Runbook._meta.label_lower
    held = ManagedObject.objects.filter(kind=kind, file__startswith=FOLDER).values_list("object_id", flat=True)
    gone = Runbook.objects.filter(pk__in=[int(pk) for pk in held], workspace=workspace).exclude(slug__in=slugs)
    for runbook in gone:
        managed.forget(kind, str(runbook.pk))
        found.released.append(runbook.slug)


def is_from_folder(file: str) -> bool:
    """Whether the file that something comes from (`managed_by`) is one of a folder of runbooks."""
    return file.startswith(FOLDER)


def require_editable(runbook: Runbook) -> None:
    """Raises PermissionDenied where the runbook comes from a folder: what one saved here would be lost at its next
    reading."""
    file = managed.file_of(runbook)
    if is_from_folder(file):
        raise PermissionDenied(f"This runbook comes from the file {file.removeprefix(FOLDER)}: change it there.")


def _files(folder: Path, problems: list[str]) -> Iterator[tuple[str, RunbookFile]]:
    """The folder's files by their slugs, hidden folders and links that lead out of it left out."""
    root = folder.resolve(strict=True)
    seen: dict[str, str] = {}
    paths = sorted(
        path for path in root.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
    for path in paths[:MAX_FILES]:
        name = path.relative_to(root).as_posix()
        if not path.resolve().is_relative_to(root) or not path.is_file():
            problems.append(f"{name}: leads out of the folder")
            continue
        try:
            file = _read(path, name)
        except ValueError as error:
            problems.append(f"{name}: {error}")
            continue
        if file.slug in seen:
            problems.append(f"{name}: has the slug {file.slug}, as {seen[file.slug]} has")
            continue
        seen[file.slug] = name
        yield file.slug, file
    if len(paths) > MAX_FILES:
        problems.append(f"only the first {MAX_FILES:,} of {len(paths):,} files were read")


def _read(path: Path, name: str) -> RunbookFile:
    """ValueError says why it is no runbook."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES:,} bytes")
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\x00", "")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read: {error}") from None
    front = FRONT_MATTER.match(text)
    given = _front_matter(front[1]) if front else {}
    text = text[front.end() :] if front else text
    if not text.strip():
        raise ValueError("is empty")
    slug = str(given.get("slug") or slugify(path.stem))
    if not SLUG.fullmatch(slug) or slug == "new":
        raise ValueError(f"{slug!r} is no slug: letters, digits, - and _, at most 100")
    heading = HEADING.search(text)
    title = str(given.get("title") or (heading[1] if heading else path.stem.replace("-", " ").capitalize()))
    return RunbookFile(name, slug, " ".join(title.split())[:LONGEST_TITLE], text)


def _front_matter(text: str) -> dict[str, object]:
    try:
        found = BoundedLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(f"its front matter is no YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(found, dict):
        raise ValueError("its front matter is no mapping")
    return found
