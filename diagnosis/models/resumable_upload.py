"""Files on their way from a browser: what has arrived of them, and what became of those that are complete."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet


class UploadState(models.TextChoices):
    RECEIVING = "receiving", gettext_lazy("Bytes are still to come")
    COMPLETE = "complete", gettext_lazy("All bytes are here")
    EXAMINING = "examining", gettext_lazy("Being examined")
    DONE = "done", gettext_lazy("Examined")


class ResumableUpload(models.Model):
    """One upload by the tus protocol. It belongs to its sender alone, and lasts until ``expires_at``.

    The bytes are pieces in private storage: each piece is whole or absent, and only those named here count. What the intake
    said is kept beyond its first telling, so that an answer that was lost on the way can be given again.
    """

    site_lookup = "site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="+")
    uploaded_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    file_name = models.CharField(
        max_length=255, help_text="The name that the sender's file had. Shown, never used as a path."
    )
    fingerprint = models.CharField(
        max_length=64,
        blank=True,
        help_text="What the sender computed over the whole content (intake.fingerprint); empty where it could not.",
    )
    length = models.PositiveBigIntegerField(help_text="Bytes of the whole file.")
    offset = models.PositiveBigIntegerField(default=0, help_text="Bytes that have arrived.")
    pieces = models.JSONField(default=list, help_text="Names of the stored pieces, in their order.")
    state = models.CharField(max_length=16, choices=UploadState, default=UploadState.RECEIVING)
    examined_until = models.DateTimeField(
        null=True, help_text="Until when one process alone examines it; later another may take it over."
    )
    receipts = models.JSONField(default=list, help_text="What became of the file, or of each in the archive.")
    is_told = models.BooleanField(default=False, help_text="Whether the sender was told what became of it.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=UploadState.values), name="resumable_upload_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(state="receiving", offset__lt=models.F("length"))
                | (~models.Q(state="receiving") & models.Q(offset=models.F("length"))),
                name="resumable_upload_complete_when_all_is_here",
            ),
            models.CheckConstraint(
                condition=models.Q(state="examining", examined_until__isnull=False)
                | (~models.Q(state="examining") & models.Q(examined_until__isnull=True)),
                name="resumable_upload_examined_for_a_time",
            ),
        ]
        indexes = [models.Index(fields=["expires_at"], name="resumable_upload_by_expiry")]

    def __str__(self) -> str:
        return f"Upload {self.pk}"

    @property
    def is_done(self) -> bool:
        return self.state == UploadState.DONE

    @property
    def percent(self) -> int:
        return 100 * self.offset // self.length if self.length else 100
