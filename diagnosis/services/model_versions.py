"""Which trained model gives the second opinion."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from diagnosis.models import AuditAction, ModelVersion, User
from diagnosis.services.audit import audit_record


@transaction.atomic
def model_version_register(
    *, actor: User, name: str, version: str, sha256: str, labels: list[dict[str, str]], card: dict[str, Any]
) -> ModelVersion:
    """Put a trained model on record; the same model again changes nothing.

    Raises ``ValueError`` when the name and version are on record with other contents: a version never changes.
    """
    known = ModelVersion.objects.filter(name=name, version=version).first()
    if known is not None:
        if known.sha256 != sha256:
            raise ValueError(
                f"{name} {version} is on record with other contents. Give a changed model a new version."
            )
        return known
    model_version = ModelVersion.objects.create(
        name=name, version=version, sha256=sha256, labels=labels, card=card
    )
    audit_record(
        actor=actor,
        action=AuditAction.MODEL_REGISTERED,
        target=model_version,
        details={"name": name, "version": version, "sha256": sha256},
    )
    return model_version


@transaction.atomic
def model_version_activate(*, actor: User, model_version: ModelVersion, reason: str) -> ModelVersion:
    """Make this the one model that analyses new images; earlier predictions stay as they are."""
    if model_version.is_active:
        return model_version
    ModelVersion.objects.filter(is_active=True).update(is_active=False)
    ModelVersion.objects.filter(pk=model_version.pk).update(is_active=True)
    model_version.refresh_from_db()
    audit_record(
        actor=actor, action=AuditAction.MODEL_ACTIVATED, target=model_version, details={"reason": reason}
    )
    return model_version
