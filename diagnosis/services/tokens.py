"""API tokens: given to an account that has just proved who it is, and taken back."""

from __future__ import annotations

import dataclasses

from django.db import transaction
from knox.models import AuthToken
from knox.settings import knox_settings

from diagnosis.models import AuditAction, User
from diagnosis.services.audit import audit_record


@dataclasses.dataclass(frozen=True, slots=True)
class IssuedToken:
    """``secret`` is shown once, to its owner: the database holds its hash alone."""

    secret: str
    token: AuthToken


@transaction.atomic
def token_issue(*, user: User) -> IssuedToken:
    """A new token for ``user``, whose password the caller has checked.

    It ends by itself after ``REST_KNOX["TOKEN_TTL"]``. Of more than ``TOKEN_LIMIT_PER_USER`` the oldest end: a program that
    never logs out must not lock its account.
    """
    newest = AuthToken.objects.filter(user=user).order_by("-created")
    for token in newest[knox_settings.TOKEN_LIMIT_PER_USER - 1 :]:
        token.delete()
    token, secret = AuthToken.objects.create(user=user)
    audit_record(
        actor=user, action=AuditAction.TOKEN_CREATED, target=user, details={"token": token.token_key}
    )
    return IssuedToken(secret, token)


@transaction.atomic
def token_revoke(*, actor: User, token: AuthToken) -> None:
    """End one token now. The revocation is on record as the end of what was logged in with it."""
    audit_record(actor=actor, action=AuditAction.LOGOUT, target=actor, details={"token": token.token_key})
    token.delete()


@transaction.atomic
def tokens_revoke_all(*, actor: User, user: User) -> int:
    """End every token of ``user`` and return how many there were.

    After a new password an old token must not open the door.
    """
    tokens = AuthToken.objects.filter(user=user)
    count = tokens.count()
    if count:
        tokens.delete()
        audit_record(actor=actor, action=AuditAction.LOGOUT, target=user, details={"tokens_revoked": count})
    return count
