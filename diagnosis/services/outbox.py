"""Send tasks to the broker because a change was committed, and only then."""

from __future__ import annotations

import functools
import logging
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from diagnosis.models import OutboxMessage
from diagnosis.services.durability import unsynced

logger = logging.getLogger(__name__)


def message_enqueue(*, task: str, kwargs: dict[str, Any]) -> OutboxMessage:
    """Write the message with the change and try to send it right after the commit; the relay sends what is left."""
    message = OutboxMessage.objects.create(task=task, kwargs=kwargs)
    transaction.on_commit(functools.partial(_send_at_once, message))
    return message


def _send_at_once(message: OutboxMessage) -> None:
    """Before its row is taken away, and outside of a transaction: on SQLite the worker that takes it up would wait for its end.

    The relay may come between both, and send it too; a row that comes back with the power is sent once more.
    """
    if _send(message):
        with unsynced():
            OutboxMessage.objects.filter(pk=message.pk).delete()


def messages_relay(*, limit: int = 500) -> int:
    """Send waiting messages, oldest first; returns how many were sent.

    Stops at the first that the broker does not take: it is most likely down, and the next round tries again.
    A message may be sent twice when the process dies between sending and deleting; tasks are safe to run twice.
    """
    sent = 0
    for message_id in list(OutboxMessage.objects.order_by("id").values_list("id", flat=True)[:limit]):
        with transaction.atomic():
            message = OutboxMessage.objects.select_for_update(skip_locked=True).filter(pk=message_id).first()
            if message is None:
                continue  # Another relay has it.
            if not _send(message):
                break
            message.delete()
        sent += 1
    return sent


def _send(message: OutboxMessage) -> bool:
    """Whether the broker took it."""
    try:
        current_app.send_task(message.task, kwargs=message.kwargs, retry=False)
    except (OperationalError, OSError):
        logger.warning(
            "The broker does not take messages; they stay in the outbox.", extra={"outbox": message.pk}
        )
        return False
    return True
