"""Whoever signs is the person who logged in: the password once more, where the site wants it.

Further proofs, such as a passkey, belong here: ``signature_require`` is the one place that says whether somebody may put
their name under a report now.
"""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.models import AuditAction, Study, User
from diagnosis.services.audit import audit_record

MISSING = gettext_lazy("Enter your password to sign: your hospital asks for it.")
WRONG = gettext_lazy("This is not your password. Nothing was signed: try again.")
TOO_MANY = gettext_lazy(
    "There were too many wrong passwords. Nothing was signed: wait some minutes, then try again."
)


def signature_is_asked(study: Study) -> bool:
    """Whether the site of ``study`` wants the password once more."""
    return study.site.signing_asks_password


def signature_require(*, actor: User, study: Study, password: str) -> None:
    """Raises ``ValidationError`` on ``signing_password`` when the site asks for the password and this is not it.

    Call it before the transaction of the act: that a wrong password was given stays on record when nothing is signed. Wrong
    ones are counted together with failed logins, by address and account, so that a stolen session is no way to guess: for
    that the password is checked within a request.
    """
    policies.require(actor, policies.Act.SIGN_REVIEW, study.site)
    if not signature_is_asked(study):
        return
    if not password:
        raise ValidationError({"signing_password": MISSING})
    try:
        is_right = get_adapter().reauthenticate(actor, password)
    except ValidationError:
        _refused(actor, study)
        raise ValidationError({"signing_password": TOO_MANY}) from None
    if not is_right:
        _refused(actor, study)
        raise ValidationError({"signing_password": WRONG})


def _refused(actor: User, study: Study) -> None:
    with transaction.atomic():
        audit_record(
            actor=actor,
            action=AuditAction.SIGNATURE_REFUSED,
            site=study.site,
            patient=study.patient,
            target=study,
            succeeded=False,
        )
