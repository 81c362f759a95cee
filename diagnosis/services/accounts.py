"""Named system users, sites, and who works where."""

from __future__ import annotations

from django.db import transaction

from diagnosis.models import AuditAction, Membership, Role, Site, User
from diagnosis.services.audit import audit_record

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


def staff_sync(*, user: User) -> None:
    """``is_staff`` opens the door of the Django admin: for those who administer a site, and superusers."""
    is_staff = user.is_superuser or user.memberships.filter(role=Role.ADMIN).exists()
    if user.is_staff != is_staff:
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])
