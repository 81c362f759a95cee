"""Logins, failed ones, logouts and new passwords go on record; Django and allauth tell of them by signals."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_changed, password_reset, password_set
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from diagnosis.models import AuditAction, User
from diagnosis.services.accounts import own_password_changed
from diagnosis.services.audit import audit_record


def _logged_in(*, user: User, **_: Any) -> None:
    audit_record(actor=user, action=AuditAction.LOGIN, target=user)


def _logged_out(*, user: User | None, **_: Any) -> None:
    if user is not None:
        audit_record(actor=user, action=AuditAction.LOGOUT, target=user)


def _login_failed(*, credentials: dict[str, Any], **_: Any) -> None:
    tried = credentials.get("username") or credentials.get("email") or ""
    # Only names that exist are kept: people type passwords into the name field.
    known = User.objects.filter(username=tried).exists()
    audit_record(
        actor=None,
        action=AuditAction.LOGIN_FAILED,
        actor_name=str(tried) if known else "unknown account",
        succeeded=False,
    )


def _password_changed(*, user: User, **_: Any) -> None:
    own_password_changed(user=user)


def connect() -> None:
    user_logged_in.connect(_logged_in, dispatch_uid="audit_login")
    user_logged_out.connect(_logged_out, dispatch_uid="audit_logout")
    user_login_failed.connect(_login_failed, dispatch_uid="audit_login_failed")
    for signal in (password_changed, password_reset, password_set):
        signal.connect(_password_changed, dispatch_uid="audit_password_changed")
