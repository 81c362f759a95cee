"""Who may do what. The only module that knows what a role allows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied

from diagnosis.models import Role, Site

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser
    from django.db.models import QuerySet

    from diagnosis.models import User


class Act(StrEnum):
    VIEW_RECORDS = "view records"
    UPLOAD = "upload images"
    ADD_PATIENT = "add a patient"
    ADD_LAB_RESULT = "add a PCR result"
    ADD_SYMPTOM_NOTE = "add a symptom note"
    RUN_ANALYSIS = "run an analysis"
    RECORD_ANALYSIS = "record an analysis"
    SIGN_REVIEW = "sign a read"
    RESOLVE_HELD_FILE = "decide about held files"


class NotAllowed(PermissionDenied):
    """A role does not allow an act. Its text is written for the person at the screen."""

    def __init__(self, user: User | AnonymousUser, act: Act, site: Site) -> None:
        super().__init__(f"Your role at {site} does not allow you to {act}. Ask an administrator of {site}.")
        self.user, self.act, self.site = user, act, site


_CLINICAL = frozenset(
    {
        Act.VIEW_RECORDS,
        Act.UPLOAD,
        Act.ADD_PATIENT,
        Act.ADD_LAB_RESULT,
        Act.ADD_SYMPTOM_NOTE,
        Act.RUN_ANALYSIS,
    }
)

ALLOWED: Mapping[Role, frozenset[Act]] = {
    Role.DOCTOR: _CLINICAL,
    Role.RADIOLOGIST: _CLINICAL | {Act.SIGN_REVIEW},
    Role.ADMIN: frozenset({Act.VIEW_RECORDS, Act.RUN_ANALYSIS, Act.RESOLVE_HELD_FILE}),
}

# What the workers do in the name of the system user, at any site.
ALLOWED_TO_SYSTEM = frozenset({Act.RUN_ANALYSIS, Act.RECORD_ANALYSIS})


def role_at(user: User | AnonymousUser, site: Site) -> Role | None:
    """The role of ``user`` at ``site``; ``None`` for an outsider and for a deactivated account."""
    if not user.is_authenticated or not user.is_active:
        return None
    role = user.memberships.filter(site=site).values_list("role", flat=True).first()
    return Role(role) if role else None


def may(user: User | AnonymousUser, act: Act, site: Site) -> bool:
    if user.is_authenticated and user.is_system:
        return act in ALLOWED_TO_SYSTEM
    role = role_at(user, site)
    return role is not None and act in ALLOWED[role]


def require(user: User | AnonymousUser, act: Act, site: Site) -> None:
    """Raises ``NotAllowed``, a ``PermissionDenied`` with a sentence for the person, when ``user`` may not do ``act``."""
    if not may(user, act, site):
        raise NotAllowed(user, act, site)


def sites_where(user: User | AnonymousUser, act: Act) -> QuerySet[Site]:
    """The sites at which ``user`` may do ``act``."""
    if not user.is_authenticated or not user.is_active:
        return Site.objects.none()
    roles = [role for role, acts in ALLOWED.items() if act in acts]
    return Site.objects.filter(memberships__user=user, memberships__role__in=roles)


def may_audit(user: User | AnonymousUser, site: Site | None = None) -> bool:
    """Whether ``user`` may inspect records in the admin: a superuser everywhere, an administrator at the own sites.

    Without ``site``: whether there is anything at all to inspect.
    """
    if not user.is_authenticated or not user.is_active:
        return False
    if user.is_superuser:
        return True
    if site is not None:
        return role_at(user, site) is Role.ADMIN
    return user.memberships.filter(role=Role.ADMIN).exists()


def may_manage_accounts(user: User | AnonymousUser) -> bool:
    """Whether ``user`` may make accounts and sites and say who works where: superusers, and the set-up of the portal."""
    return user.is_authenticated and user.is_active and (user.is_superuser or user.is_system)


def require_account_management(user: User | AnonymousUser) -> None:
    """Raises ``PermissionDenied`` with a sentence for the person when ``user`` may not manage accounts."""
    if not may_manage_accounts(user):
        raise PermissionDenied(
            "Only a superuser may change accounts, roles and sites. Ask the one of your installation."
        )
