"""A study: the images of one examination, and where it stands on its way to a signed read."""

import datetime as dt
import uuid

from django.db import models
from django.db.models.functions import Coalesce, Lower
from django.utils.translation import gettext_lazy

from diagnosis.models.patient import no_control_characters
from diagnosis.models.scoped import SiteScopedQuerySet
from diagnosis.models.worklist_facts import SUSPICION_UNKNOWN


class StudyStatus(models.TextChoices):
    ANALYSING = "analysing", gettext_lazy("Being analysed")
    TO_READ = "to_read", gettext_lazy("To be read")
    READ = "read", gettext_lazy("Read")


class Priority(models.TextChoices):
    """FHIR RequestPriority, without ``asap``."""

    ROUTINE = "routine", gettext_lazy("Routine")
    URGENT = "urgent", gettext_lazy("Urgent")
    STAT = "stat", gettext_lazy("Stat")


OPEN_STATUSES = (StudyStatus.ANALYSING, StudyStatus.TO_READ)
"""In which a study waits for a read."""


class OpinionState(models.TextChoices):
    """What a worklist is narrowed to: what needs attention first, over the newest prediction of each image."""

    PENDING = "pending", gettext_lazy("On its way")
    FAILED = "failed", gettext_lazy("Failed")
    REFUSED = "refused", gettext_lazy("Refused")
    UNSURE = "unsure", gettext_lazy("Unsure")
    LABEL = "label", gettext_lazy("One label")


_PRIORITY_RANK = models.Case(
    models.When(priority=Priority.STAT, then=0),
    models.When(priority=Priority.URGENT, then=1),
    default=2,
    output_field=models.SmallIntegerField(),
)


class Study(models.Model):
    """``pcr_state``, ``opinion_state``, ``suspicion_rank``, ``signed_decision`` and ``patient_name_key`` repeat what other
    tables say, so that a million studies can be narrowed and sorted by an index. The database itself keeps them true: see
    ``diagnosis.models.worklist_facts``.
    """

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
    assigned_to = models.ForeignKey(
        "diagnosis.User",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="assigned_studies",
        db_index=False,
        help_text="Who is to read it.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    priority_rank = models.GeneratedField(
        expression=_PRIORITY_RANK,
        output_field=models.SmallIntegerField(),
        db_persist=True,
        help_text="0 for the most urgent.",
    )
    accession_key = models.GeneratedField(
        expression=Lower("accession_number"), output_field=models.CharField(max_length=64), db_persist=True
    )
    patient_name_key = models.TextField(default="", editable=False)
    pcr_state = models.CharField(
        max_length=16,
        default="",
        editable=False,
        help_text="Result of the patient's newest sample; empty: none.",
    )
    opinion_state = models.CharField(
        max_length=8, choices=OpinionState, default="", editable=False, help_text="Empty: no prediction."
    )

    suspicion_rank = models.SmallIntegerField(
        default=SUSPICION_UNKNOWN,
        editable=False,
        help_text="Thousand times the probability of a normal image, of its least normal one: 0 for the most suspicious.",
    )
    signed_decision = models.CharField(
        max_length=8, default="", editable=False, help_text="Decision of the newest signed read; empty: none."
    )

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
            models.Index(
                fields=["site", "priority_rank", "created_at", "id"],
                condition=models.Q(status__in=OPEN_STATUSES),
                name="study_open_by_priority",
            ),
            # Few are open. Without their own, the database walks through all that match another filter, in its order.
            models.Index(
                fields=["site", "created_at", "id"],
                condition=models.Q(status__in=OPEN_STATUSES),
                name="study_open_by_time",
            ),
            models.Index(
                fields=["site", "patient_name_key", "id"],
                condition=models.Q(status__in=OPEN_STATUSES),
                name="study_open_by_name",
            ),
            models.Index("site", Coalesce("performed_at", "created_at"), "id", name="study_by_examination"),
            models.Index(fields=["site", "priority_rank", "created_at", "id"], name="study_by_priority"),
            models.Index(
                fields=["site", "priority_rank", "suspicion_rank", "created_at", "id"],
                condition=models.Q(status__in=OPEN_STATUSES),
                name="study_open_by_suspicion",
            ),
            models.Index(fields=["site", "patient_name_key", "id"], name="study_by_name"),
            models.Index(fields=["site", "opinion_state", "created_at", "id"], name="study_by_opinion_state"),
            models.Index(fields=["site", "pcr_state", "created_at", "id"], name="study_by_pcr_state"),
            models.Index(
                fields=["site", "created_at", "id"],
                condition=models.Q(signed_decision="override"),
                name="study_overridden",
            ),
            models.Index(
                fields=["assigned_to", "created_at", "id"],
                condition=models.Q(assigned_to__isnull=False),
                name="study_by_reader",
            ),
            models.Index(
                fields=["site", "accession_key"],
                condition=~models.Q(accession_key=""),
                name="study_by_accession",
                opclasses=["int8_ops", "varchar_pattern_ops"],
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
