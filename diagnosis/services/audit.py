"""Append to the audit chain, in the transaction of the act itself: no event, no change."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from diagnosis import policies, request_context
from diagnosis.models import AuditAction, AuditEvent, AuditHead, Patient, Role, Site, User

GENESIS_HASH = "0" * 64


def event_hash(event: AuditEvent) -> str:
    """HMAC-SHA256 over the canonical JSON of every field, the previous hash included; the key is outside the database."""
    content = {
        "seq": event.seq,
        "occurred_at": event.occurred_at.isoformat(),
        "action": event.action,
        "succeeded": event.succeeded,
        "actor": event.actor_id,
        "actor_name": event.actor_name,
        "actor_role": event.actor_role,
        "site": event.site_id,
        "patient": str(event.patient_id) if event.patient_id else None,
        "object_type": event.object_type,
        "object_id": event.object_id,
        "details": event.details,
        "ip_address": event.ip_address,
        "request_id": event.request_id,
        "previous_hash": event.previous_hash,
    }
    message = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hmac.new(settings.AUDIT_HMAC_KEY.encode(), message.encode(), hashlib.sha256).hexdigest()


@transaction.atomic
def audit_record(
    *,
    actor: User | None,
    action: AuditAction,
    site: Site | None = None,
    patient: Patient | None = None,
    target: models.Model | None = None,
    details: dict[str, Any] | None = None,
    succeeded: bool = True,
    actor_name: str = "",
    actor_role: Role | None = None,
) -> AuditEvent:
    """Append one event. Call it last in the act's transaction: the chain's head stays locked until the commit.

    ``details`` holds codes and identifiers that JSON can hold. ``actor_name`` is for acts without an account, such as a
    failed login. ``actor_role`` is the role at ``site`` that ``policies.require`` has just found; without it, it is looked up.
    """
    role = actor_role or (policies.role_at(actor, site) if actor and site else None)
    context = request_context.current()
    head = AuditHead.objects.select_for_update().get(pk=1)
    event = AuditEvent(
        seq=head.seq + 1,
        occurred_at=timezone.now(),
        action=action,
        succeeded=succeeded,
        actor=actor,
        actor_name=actor.username if actor else actor_name[:150],
        actor_role=role or "",
        site=site,
        patient=patient,
        object_type=target._meta.model_name or "" if target else "",
        object_id=str(target.pk) if target else "",
        details=details or {},
        ip_address=context.ip_address,
        request_id=context.request_id,
        previous_hash=head.hash,
    )
    event.hash = event_hash(event)
    event.save(force_insert=True)
    head.seq, head.hash = event.seq, event.hash
    head.save(update_fields=["seq", "hash"])
    return event


def first_broken_event() -> int | None:
    """The sequence number of the first event that does not fit the chain; ``None`` when the whole chain holds."""
    previous_hash, expected_seq = GENESIS_HASH, 1
    for event in AuditEvent.objects.order_by("seq").iterator():
        if (
            event.seq != expected_seq
            or event.previous_hash != previous_hash
            or event.hash != event_hash(event)
        ):
            return expected_seq
        previous_hash, expected_seq = event.hash, event.seq + 1
    head = AuditHead.objects.get(pk=1)
    if (head.seq, head.hash) != (expected_seq - 1, previous_hash):
        return expected_seq
    return None
