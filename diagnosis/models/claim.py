"""Who reads a study now, so that two people do not read the same one."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet

CLAIM_MINUTES = 30
CLAIM_MINUTES_RANGE = (MinValueValidator(2), MaxValueValidator(8 * 60))


class TakeoverReason(models.TextChoices):
    """Why a study is taken that somebody else had claimed."""

    EXPIRED = "expired", gettext_lazy("The claim ran out")
    HOLDER_AWAY = "holder_away", gettext_lazy("The reader has left")
    AGREED = "agreed", gettext_lazy("Agreed with the reader")
    URGENT = "urgent", gettext_lazy("The patient cannot wait")


class Claim(models.Model):
    """The one claim on a study. It ends by being released, or at ``expires_at``: an expired one holds nobody back.

    The row is a lock, not a record: who claimed, released or took over what and when is in the audit trail.
    """

    site_lookup = "study__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.OneToOneField("diagnosis.Study", on_delete=models.PROTECT, related_name="claim")
    holder = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="claims")
    claimed_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("claimed_at")), name="claim_ends_after_its_start"
            ),
        ]

    def __str__(self) -> str:
        return f"Claim {self.pk}"

    @property
    def opened(self) -> str:
        """Names the last opening of the study by the holder: a page that is left after it was opened anew releases nothing."""
        return self.claimed_at.isoformat()

    @property
    def is_running(self) -> bool:
        return self.expires_at > timezone.now()
