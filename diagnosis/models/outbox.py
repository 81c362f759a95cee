"""Messages that must be sent because a change was committed."""

from django.db import models


class OutboxMessage(models.Model):
    """A task to send to the broker, written in the transaction that needs it and deleted once it was sent.

    A broker that is down loses nothing: the relay sends what is left.
    """

    task = models.CharField(max_length=200)
    kwargs = models.JSONField(default=dict, help_text="Identifiers only, never patient data.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.task} #{self.pk}"
