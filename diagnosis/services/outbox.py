"""Send tasks to the broker because a change was committed, and only then."""

from __future__ import annotations

import functools
import logging
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from diagnosis.models import OutboxMessage

logger = logging.getLogger(__name__)


def message_enqueue(*, task: str, kwargs: dict[str, Any]) -> OutboxMessage:
    """Write the message with the change and try to send it right after the commit; the relay sends what is left."""
    message = OutboxMessage.objects.create(task=task, kwargs=kwargs)
    transaction.on_commit(functools.partial(messages_relay, ids=[message.pk]))
    return message


def messages_relay(*, ids: list[int] | None = None, limit: int = 500) -> int:
    """Send waiting messages, oldest first; returns how many were sent.

    Stops at the first that the broker does not take: it is most likely down, and the next round tries again.
    A message may be sent twice when the process dies between sending and deleting; tasks are safe to run twice.
    """
    sent = 0
    waiting = OutboxMessage.objects.order_by("id").values_list("id", flat=True)
    if ids is not None:
        waiting = waiting.filter(id__in=ids)
    for message_id in list(waiting[:limit]):
        try:
            with transaction.atomic():
                message = (
                    OutboxMessage.objects.select_for_update(skip_locked=True).filter(pk=message_id).first()
                )
                if message is None:
                    continue  # Another relay has it.
                current_app.send_task(message.task, kwargs=message.kwargs, retry=False)
                message.delete()
        except (OperationalError, OSError):
            logger.warning(
                "The broker does not take messages; they stay in the outbox.", extra={"outbox": message_id}
            )
            break
        sent += 1
    return sent
