"""Pages of people: one's own account, members and their roles, invitations, workspaces."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts.notify.transports.contract import ConfigInvalid
from alerts.oncall.following import follow, followed_by
from core.accounts import invitations, people, permissions, workspaces
from core.accounts.confirmation import confirmed
from core.accounts.models import Membership, Workspace
from core.accounts.preferences import EDITED, preferences_of, save_preferences
from portal.people.forms import AccountForm, HandOverForm, InviteForm, PreferencesForm, WorkspaceForm
from portal.people.mail import link_of, mail_invitation
from portal.shell.navigation import reachable

BACKEND = "django.contrib.auth.backends.ModelBackend"


@login_required
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """How one signs in, where one is signed in, one's roles, and what one chooses for oneself."""
    user = permissions.person_of(request)
    pages = [(entry.url_name, entry.label) for entry in reachable(request) if entry.url_name != "overview"]
    initial = {"alert_mail": followed_by(user)}
    form = PreferencesForm(request.POST or None, instance=preferences_of(user), pages=pages, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                save_preferences(user, {name: form.cleaned_data[name] for name in EDITED})
                follow(user, form.cleaned_data["alert_mail"])
        except ConfigInvalid as error:
            form.add_error("alert_mail", "; ".join(error.errors.values()).capitalize() + ".")
        else:
            messages.success(request, "Your settings are saved.")
            return redirect("account")
    context = {
        "form": form,
        "memberships": user.memberships.select_related("workspace").order_by("workspace__slug"),
        "sessions": UserSession.objects.filter(user=user).count(),
        "has_password": user.has_usable_password(),
    }
    return render(request, "portal/account.html", context, status=422 if form.errors else 200)


def administrator(request: HttpRequest) -> User:
    """Who asks. Raises PermissionDenied unless they may change members of a workspace."""
    user = permissions.person_of(request)
    if not permissions.administers(user):
        raise PermissionDenied("This needs an admin of a workspace.")
    return user


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Everybody, with roles and last sign-in; invitations that are open; workspaces."""
    user = administrator(request)
    administered = permissions.administered(user).order_by("slug")
    open_ones = invitations.open_invitations(timezone.now()).filter(workspace__in=administered)
    context = {
        "people": Paginator(people.listed(user), 50).get_page(request.GET.get("page")),
        "invitations": open_ones[:100],
        "workspaces": administered,
        "administered": {one.pk for one in administered},
    }
    return render(request, "portal/people.html", context)


def find(request: HttpRequest, user_id: int) -> User:
    """A person whom the administrator sees. Raises Http404."""
    person: User = get_object_or_404(people.listed(administrator(request)), pk=user_id)
    return person


@login_required
@require_GET
def person(request: HttpRequest, user_id: int) -> HttpResponse:
    """One person: roles, and what may be done."""
    found, user = find(request, user_id), permissions.person_of(request)
    roles = {one.workspace_id: one.role for one in found.memberships.all()}
    administered = permissions.administered(user).order_by("slug")
    context = {
        "person": found,
        "roles": [(one, roles.get(one.pk, "")) for one in administered],
        "choices": Membership.ROLES,
        "hand_over": HandOverForm(without=found),
        "is_portal_admin": permissions.is_superuser(user),
    }
    return render(request, "portal/person.html", context)


@login_required
@require_POST
@confirmed
def change(request: HttpRequest, user_id: int) -> HttpResponse:
    """Do what `do` says: role, activate, deactivate, promote, demote or hand-over. All but
    roles are the portal's administrators'."""
    found, by = find(request, user_id), permissions.person_of(request)
    wanted = request.POST.get("do", "")
    if wanted != "role" and not permissions.is_superuser(by):
        raise PermissionDenied("This needs an administrator of the portal.")
    try:
        carry_out(wanted, request, found, by)
    except people.PeopleError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{found.get_username()} was changed.")
    return redirect("person", found.pk)


def carry_out(wanted: str, request: HttpRequest, found: User, by: User) -> None:
    """One change. Raises PeopleError, Http404."""
    if wanted == "role":
        workspace = get_object_or_404(permissions.administered(by), pk=request.POST.get("workspace") or 0)
        role = request.POST.get("role", "")
        if role and role not in dict(Membership.ROLES):
            raise people.PeopleError("There is no such role.")
        people.set_role(found, workspace, role or None, by=by)
    elif wanted in ("activate", "deactivate"):
        people.set_active(found, wanted == "activate", by=by)
    elif wanted in ("promote", "demote"):
        people.set_admin(found, wanted == "promote", by=by)
    elif wanted == "hand-over":
        form = HandOverForm(request.POST, without=found)
        if not form.is_valid():
            raise people.PeopleError("Choose who takes over.")
        people.hand_over(found, form.cleaned_data["to"], by=by)
    else:
        raise people.PeopleError("Choose what to change.")


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
@confirmed
def invite(request: HttpRequest) -> HttpResponse:
    """A new invitation; its link is shown once, and mailed where there is an address and a mail server."""
    user = administrator(request)
    form = InviteForm(request.POST or None, workspaces=permissions.administered(user))
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        made, token = invitations.invite(given["workspace"], given["role"], given["email"], by=user, now=timezone.now())
        link = link_of(token)
        context = {"invitation": made, "link": link, "problem": mail_invitation(made, link)}
        return render(request, "portal/invited.html", context, status=201)
    return render(request, "portal/invite.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_POST
def withdraw(request: HttpRequest, invitation_id: int) -> HttpResponse:
    """Take an invitation back."""
    user = administrator(request)
    open_ones = invitations.open_invitations(timezone.now())
    found = get_object_or_404(open_ones.filter(workspace__in=permissions.administered(user)), pk=invitation_id)
    invitations.withdraw(found, by=user)
    messages.success(request, "The invitation is withdrawn; its link opens nothing any more.")
    return redirect("people")


@never_cache
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Accept an invitation: as who is signed in, or with a new account."""
    found, now = invitations.find(token, timezone.now()), timezone.now()
    if found is None:
        raise Http404("This invitation was used, withdrawn, or is older than a week.")
    form = None if request.user.is_authenticated else AccountForm(request.POST or None, email=found.email)
    if request.method == "POST" and (form is None or form.is_valid()):
        try:
            with transaction.atomic():
                user = permissions.person_of(request) if form is None else form.save()
                invitations.accept(found, user, now)
        except people.PeopleError as error:
            raise Http404(str(error)) from None
        if form is not None:
            login(request, user, backend=BACKEND)
        messages.success(request, f"Welcome to {found.workspace.name}.")
        return redirect("overview")
    context = {"invitation": found, "form": form}
    return render(request, "portal/join.html", context, status=422 if form and form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def workspace(request: HttpRequest, slug: str = "") -> HttpResponse:
    """A new workspace, for administrators of the portal; or the name of one, for its admins."""
    user = administrator(request)
    found = get_object_or_404(permissions.administered(user), slug=slug) if slug else None
    if found is None and not permissions.is_superuser(user):
        raise PermissionDenied("This needs an administrator of the portal.")
    form = WorkspaceForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        if found is None:
            workspaces.create_workspace(given["slug"], given["name"], given["time_zone"])
        else:
            stored = Workspace.objects.get(pk=found.pk)
            workspaces.update_workspace(stored, given["name"], given["time_zone"])
        messages.success(request, f"{given['name']} was saved.")
        return redirect("people")
    return render(
        request, "portal/workspace.html", {"form": form, "workspace": found}, status=422 if form.errors else 200
    )
