"""A PCR result that came after the read was signed, compared with it."""

import uuid

from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils.translation import gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet


class DiscrepancyState(models.TextChoices):
    OPEN = "open", gettext_lazy("Open")
    ACKNOWLEDGED = "acknowledged", gettext_lazy("Being looked into")
    RESOLVED = "resolved", gettext_lazy("Resolved")


class DiscrepancyVerdict(models.TextChoices):
    CONTRADICTS = "contradicts", gettext_lazy("Contradicts the read")
    INCONCLUSIVE = "inconclusive", gettext_lazy("Settles nothing")
    AGREES = "agrees", gettext_lazy("Agrees with the read")


class DiscrepancyDecision(models.TextChoices):
    STANDS = "stands", gettext_lazy("The signed read stands")
    CORRECTED = "corrected", gettext_lazy("An addendum or a correction was signed")
    REPEAT_PCR = "repeat_pcr", gettext_lazy("The PCR is to be repeated")
    SECOND_READER = "second_reader", gettext_lazy("The second reader decides")
    AGREES = "agrees", gettext_lazy("Nothing to decide: the PCR agrees with the read")


class Discrepancy(models.Model):
    """One late PCR result beside one signed read, which it never changes.

    Also one that agrees is on record: then nobody has to wonder whether it was compared.
    """

    site_lookup = "review__study__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.ForeignKey("diagnosis.Review", on_delete=models.PROTECT, related_name="discrepancies")
    lab_result = models.ForeignKey(
        "diagnosis.LabResult", on_delete=models.PROTECT, related_name="discrepancies"
    )
    verdict = models.CharField(max_length=16, choices=DiscrepancyVerdict)
    rule = models.CharField(max_length=64, help_text="The rule's code.")
    facts = models.JSONField(help_text="What the rule looked at, at that time.")
    state = models.CharField(
        max_length=16, choices=DiscrepancyState, default=DiscrepancyState.OPEN, editable=False
    )
    opened_at = models.DateTimeField(auto_now_add=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "discrepancies"
        ordering = ["opened_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["review", "lab_result"], name="discrepancy_once_for_review_and_result"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=DiscrepancyState.values), name="discrepancy_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(verdict__in=DiscrepancyVerdict.values), name="discrepancy_verdict_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["review"],
                condition=models.Q(state__in=["open", "acknowledged"]),
                name="discrepancy_unresolved",
            ),
        ]

    def __str__(self) -> str:
        return f"Discrepancy {self.pk}"

    @property
    def is_resolved(self) -> bool:
        return self.state == DiscrepancyState.RESOLVED

    @property
    def is_open(self) -> bool:
        """Nobody has taken it up."""
        return self.state == DiscrepancyState.OPEN


class DiscrepancyMove(models.Model):
    """One step of a discrepancy: who, when, what was decided. Rows are only ever added."""

    discrepancy = models.ForeignKey(Discrepancy, on_delete=models.PROTECT, related_name="moves")
    before = models.CharField(max_length=16, choices=DiscrepancyState)
    after = models.CharField(max_length=16, choices=DiscrepancyState)
    actor = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    moved_at = models.DateTimeField(auto_now_add=True)
    decision = models.CharField(max_length=16, choices=DiscrepancyDecision, blank=True)
    note = models.TextField(max_length=10_000, validators=[MaxLengthValidator(10_000)], blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(decision__in=["", *DiscrepancyDecision.values]),
                name="discrepancy_decision_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(after="resolved") | ~models.Q(decision=""),
                name="discrepancy_resolved_has_decision",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"
