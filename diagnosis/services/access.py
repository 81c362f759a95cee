"""Acts that were denied are on record too."""

from __future__ import annotations

from django.db import transaction

from diagnosis.models import AuditAction, Site, User
from diagnosis.services.audit import audit_record


@transaction.atomic
def denial_record(*, actor: User, act: str, site: Site) -> None:
    """Put on record that ``actor`` tried what the role at ``site`` does not allow."""
    audit_record(
        actor=actor, action=AuditAction.ACCESS_DENIED, site=site, details={"act": act}, succeeded=False
    )
