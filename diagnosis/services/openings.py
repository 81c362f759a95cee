"""One opening of a study is on record once, however many requests its page makes."""

from __future__ import annotations

import datetime as dt

from django.core import signing

from diagnosis import policies
from diagnosis.models import Study, User
from diagnosis.services.studies import study_open

OPENING_HEADER = "X-Opening"
"""In which a page sends the ticket of its opening, or nothing yet, and in which it is answered."""

VALID_FOR = dt.timedelta(hours=1)
"""Whoever comes back to an open page later than this, and loads an image, opens the study anew."""

_SIGNER = signing.TimestampSigner(salt="diagnosis.study-opening")


def opening_ticket(*, actor: User, study: Study) -> str:
    """Says that ``actor`` has opened ``study`` now, which is on record. It gives no right to anything."""
    return _SIGNER.sign(_named(actor, study))


def study_open_once(*, actor: User, study: Study, ticket: str) -> str:
    """Put on record that ``actor`` looked at ``study``, unless ``ticket`` says that the opening that this is part of is on
    record already. Returns the ticket of the opening. Raises ``NotAllowed``.
    """
    if _is_valid(ticket, actor, study):
        policies.require(actor, policies.Act.VIEW_RECORDS, study.site)
        return ticket
    study_open(actor=actor, study=study)
    return opening_ticket(actor=actor, study=study)


def _is_valid(ticket: str, actor: User, study: Study) -> bool:
    try:
        return _SIGNER.unsign(ticket, max_age=VALID_FOR) == _named(actor, study)
    except signing.BadSignature:
        return False


def _named(actor: User, study: Study) -> str:
    return f"{actor.pk}.{study.pk.hex}"
