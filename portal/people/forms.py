"""Forms of the pages of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from alerts.models import Channel
from core.accounts import time_zones
from core.accounts.models import Membership, Preferences, Workspace
from core.accounts.people import successors
from core.accounts.preferences import EDITED
from core.audit.record import record


class InviteForm(forms.Form):
    """Whom to invite to what."""

    workspace = forms.ModelChoiceField(Workspace.objects.none(), empty_label=None)
    role = forms.ChoiceField(
        choices=Membership.ROLES,
        help_text="A viewer sees, an operator changes, an admin also lets people in.",
    )
    email = forms.EmailField(
        required=False, label="Email", help_text="The link is sent there; empty: you hand it over."
    )

    def __init__(self, *args: Any, workspaces: QuerySet[Workspace], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["workspace"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = workspaces


class AccountForm(BaseUserCreationForm):  # type: ignore[type-arg]  # Django takes no subscript at run time
    """A new account of somebody who was invited."""

    class Meta:
        model = User
        fields: ClassVar[list[str]] = ["username", "email"]

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, initial={"email": email}, **kwargs)
        self.fields["email"].required = True

    def save(self, commit: bool = True) -> User:
        """Store it, with its line of the audit log."""
        with transaction.atomic():
            user: User = super().save(commit)
            record("created", user, after={"email": user.email}, by=user)
        return user


class PreferencesForm(forms.ModelForm):  # type: ignore[type-arg]  # Django takes no subscript at run time
    """What somebody chooses for themselves."""

    time_zone = forms.ChoiceField(
        choices=[("", "as the browser"), *((name, name) for name in time_zones.names())],
        required=False,
        help_text="In which times are shown to you. Today in costs is the workspace's.",
    )
    landing_page = forms.ChoiceField(required=False, label="First page", help_text="Where signing in leads.")
    alert_mail = forms.ChoiceField(
        choices=[("", "none"), *Channel.Follows.choices],
        required=False,
        label="Mail about alerts",
        help_text="When they fire and when they end, to the address of your account; on-call mail comes in any case.",
    )

    def __init__(self, *args: Any, pages: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["landing_page"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [("", "Overview"), *pages]

    class Meta:
        model = Preferences
        fields: ClassVar[list[str]] = [*EDITED]


class HandOverForm(forms.Form):
    """Who takes over."""

    to = forms.ModelChoiceField(User.objects.none(), empty_label="nobody yet", label="Hand over to")

    def __init__(self, *args: Any, without: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["to"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = successors(without)


class WorkspaceForm(forms.ModelForm):  # type: ignore[type-arg]  # Django takes no subscript at run time
    """A workspace; its slug stays, since records carry it."""

    time_zone = forms.ChoiceField(
        choices=[(name, name) for name in time_zones.names()],
        initial="UTC",
        help_text="Days begin at its midnight: today in costs, and the periods of budgets.",
    )

    class Meta:
        model = Workspace
        fields: ClassVar[list[str]] = ["slug", "name", "time_zone"]
        help_texts: ClassVar[dict[str, str]] = {"slug": "Records carry it; it cannot be changed later."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            del self.fields["slug"]
