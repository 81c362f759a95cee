"""Named system users, sites, and who works where."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from diagnosis import policies
from diagnosis.models import AuditAction, Membership, Role, Site, User
from diagnosis.services.audit import audit_record
from diagnosis.services.tokens import tokens_revoke_all

ANALYSIS_USER = "system-analysis"


def system_user() -> User:
    """The account in whose name the workers act. It has no password and cannot log in."""
    user, created = User.objects.get_or_create(
        username=ANALYSIS_USER, defaults={"is_system": True, "first_name": "Analysis", "last_name": "worker"}
    )
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


@transaction.atomic
def membership_set(*, actor: User, user: User, site: Site, role: str) -> Membership:
    """Give ``user`` the role at ``site``, in place of an earlier one. Administrators may enter the Django admin."""
    policies.require_account_management(actor)
    membership, _ = Membership.objects.update_or_create(user=user, site=site, defaults={"role": Role(role)})
    staff_sync(user=user)
    audit_record(
        actor=actor,
        action=AuditAction.ACCESS_CHANGED,
        site=site,
        target=user,
        details={"username": user.username, "role": role},
    )
    return membership


@transaction.atomic
def membership_remove(*, actor: User, membership: Membership) -> None:
    """Take the role away: from now on the user sees nothing of that site."""
    policies.require_account_management(actor)
    user, site, role = membership.user, membership.site, membership.role
    membership.delete()
    staff_sync(user=user)
    audit_record(
        actor=actor,
        action=AuditAction.ACCESS_CHANGED,
        site=site,
        target=user,
        details={"username": user.username, "removed_role": role},
    )


@transaction.atomic
def account_save(*, actor: User, user: User, changed: Sequence[str]) -> User:
    """Save a new or changed account; ``changed`` names the fields. A closed account and a new password end its tokens."""
    policies.require_account_management(actor)
    is_new = user._state.adding
    user.save()
    staff_sync(user=user)
    if "password" in changed or not user.is_active:
        tokens_revoke_all(actor=actor, user=user)
    audit_record(
        actor=actor,
        action=AuditAction.ACCESS_CHANGED,
        target=user,
        details={
            "username": user.username,
            "created": is_new,
            "fields": sorted(changed),
            "is_active": user.is_active,
            "is_superuser": user.is_superuser,
        },
    )
    return user


@transaction.atomic
def own_password_changed(*, user: User) -> None:
    """Put on record that ``user`` has a new password by the pages of the login, and end the tokens made with the old one."""
    tokens_revoke_all(actor=user, user=user)
    audit_record(
        actor=user,
        action=AuditAction.ACCESS_CHANGED,
        target=user,
        details={"username": user.username, "fields": ["password"]},
    )


@transaction.atomic
def site_save(*, actor: User, site: Site, changed: Sequence[str]) -> Site:
    """Save a new or changed site; ``changed`` names the fields."""
    policies.require_account_management(actor)
    is_new = site._state.adding
    site.save()
    audit_record(
        actor=actor,
        action=AuditAction.ACCESS_CHANGED,
        site=site,
        target=site,
        details={"site": site.name, "created": is_new, "fields": sorted(changed)},
    )
    return site


def staff_sync(*, user: User) -> None:
    """``is_staff`` opens the door of the Django admin: for those who administer a site, and superusers."""
    is_staff = user.is_superuser or user.memberships.filter(role=Role.ADMIN).exists()
    if user.is_staff != is_staff:
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])
