"""A study: the images of one examination, and where it stands on its way to a signed read."""

import datetime as dt
import uuid

from django.db import models

from diagnosis.models.patient import no_control_characters
from diagnosis.models.scoped import SiteScopedQuerySet


class StudyStatus(models.TextChoices):
    ANALYSING = "analysing", "Being analysed"
    TO_READ = "to_read", "To be read"
    READ = "read", "Read"


class Priority(models.TextChoices):
    """FHIR RequestPriority, without ``asap``."""

    ROUTINE = "routine", "Routine"
    URGENT = "urgent", "Urgent"
    STAT = "stat", "Stat"


class Study(models.Model):
    site_lookup = "site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="studies")
    patient = models.ForeignKey("diagnosis.Patient", on_delete=models.PROTECT, related_name="studies")
    study_instance_uid = models.CharField(max_length=64)
    accession_number = models.CharField(max_length=64, blank=True, validators=[no_control_characters])
    study_description = models.CharField(max_length=200, blank=True, validators=[no_control_characters])
    performed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the image was taken, where the file or the doctor says so."
    )
    priority = models.CharField(max_length=8, choices=Priority, default=Priority.ROUTINE)
    status = models.CharField(
        max_length=16, choices=StudyStatus, default=StudyStatus.ANALYSING, editable=False
    )
    submitted_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "studies"
        constraints = [
            models.UniqueConstraint(fields=["site", "study_instance_uid"], name="study_uid_unique_at_site"),
            models.CheckConstraint(
                condition=models.Q(status__in=StudyStatus.values), name="study_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(priority__in=Priority.values), name="study_priority_known"
            ),
        ]
        indexes = [
            models.Index(fields=["site", "-created_at", "-id"], name="study_worklist"),
            models.Index(
                fields=["created_at"], condition=models.Q(status="analysing"), name="study_being_analysed"
            ),
        ]

    def __str__(self) -> str:
        return f"Study {self.accession_number or self.study_instance_uid}"

    @property
    def time(self) -> dt.datetime:
        """When the image was taken, or, where nobody says, when it was uploaded."""
        return self.performed_at or self.created_at

    @property
    def is_read(self) -> bool:
        return self.status == StudyStatus.READ

    @property
    def is_being_analysed(self) -> bool:
        return self.status == StudyStatus.ANALYSING
