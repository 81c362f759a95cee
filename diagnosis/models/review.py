"""A radiologist's signed read."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils.translation import gettext_lazy, gettext_noop

from diagnosis.models.scoped import SiteScopedQuerySet
from diagnosis.models.site import ReadingProtocol

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class ReviewKind(models.TextChoices):
    SIGNED = "signed", gettext_lazy("Read")
    ADDENDUM = "addendum", gettext_lazy("Addendum")
    CORRECTION = "correction", gettext_lazy("Correction")


class Decision(models.TextChoices):
    CONFIRM = "confirm", gettext_lazy("Confirmed the second opinion")
    DECIDE = "decide", gettext_lazy("Decided where the second opinion named several labels")
    OVERRIDE = "override", gettext_lazy("Overrode the second opinion")
    UNAIDED = "unaided", gettext_lazy("Read without a second opinion")


class OverrideReason(models.TextChoices):
    ARTEFACT = "artefact", gettext_lazy("Artefact or device in the image")
    POSITIONING = "positioning", gettext_lazy("Positioning or rotation")
    POOR_INSPIRATION = "poor_inspiration", gettext_lazy("Poor inspiration")
    CHRONIC = "chronic", gettext_lazy("Prior or chronic change")
    OTHER_PATHOLOGY = "other_pathology", gettext_lazy("Other pathology explains it")
    MAP_WRONG_PLACE = "map_wrong_place", gettext_lazy("The network looked at the wrong place")
    CONTRADICTS_CLINIC = "contradicts_clinic", gettext_lazy("Contradicts PCR or clinical picture")
    OUT_OF_SCOPE = "out_of_scope", gettext_lazy("Outside the network's scope (child, lateral, …)")
    OTHER = "other", gettext_lazy("Other (write it in the note)")


# What a reader may say beyond the network's own labels.
READER_ONLY_LABELS = {
    "other_finding": gettext_noop("Other finding (see note)"),
    "non_diagnostic": gettext_noop("Image not diagnostic"),
}


REPORT_TEXT_MAX_LENGTH = 10_000
#: The sections of a report, in the order in which they are read.
REPORT_SECTIONS = ("comparison", "findings", "impression")


def report_text_field(*validators: Callable[[str], None], help_text: StrOrPromise = "") -> models.TextField:
    """A section of a report, wherever it is kept."""
    return models.TextField(
        max_length=REPORT_TEXT_MAX_LENGTH,
        validators=[MaxLengthValidator(REPORT_TEXT_MAX_LENGTH), *validators],
        blank=True,
        help_text=help_text,
    )


class Review(models.Model):
    """One signed read of a study. Rows are only ever added: a database trigger refuses changes and deletions.

    A later read of the same study (images were added, an addendum, a correction) is a new row that ``follows`` the earlier
    one. Each row is the whole report as it stood when it was signed: an addendum repeats what it adds to.
    """

    site_lookup = "study__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("diagnosis.Study", on_delete=models.PROTECT, related_name="reviews")
    follows = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="followed_by"
    )
    reader = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="reviews")
    kind = models.CharField(max_length=16, choices=ReviewKind, default=ReviewKind.SIGNED)
    first_read = models.ForeignKey(
        "diagnosis.FirstRead",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reviews",
        help_text="The reader's own read before the second opinion was shown; empty where none was asked for.",
    )
    protocol = models.CharField(
        max_length=16, choices=ReadingProtocol, help_text="The site's when it was signed."
    )
    decision = models.CharField(max_length=8, choices=Decision)
    label = models.CharField(max_length=64)
    label_display = models.CharField(max_length=100, help_text="The label's name as the reader saw it.")
    reason = models.CharField(max_length=32, choices=OverrideReason, blank=True)
    note = models.TextField(max_length=10_000, validators=[MaxLengthValidator(10_000)], blank=True)
    findings = report_text_field()
    impression = report_text_field()
    comparison = report_text_field()
    addendum = report_text_field(help_text="What an addendum adds.")
    change_reason = models.CharField(
        max_length=500, blank=True, help_text="Why a correction was needed, in the reader's words."
    )
    seen_predictions = models.JSONField(
        help_text="What the reader had on screen: list of {prediction, label, possible_labels, model_version}; "
        "no label, no opinion."
    )
    signed_at = models.DateTimeField(auto_now_add=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["signed_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["study"],
                condition=models.Q(follows__isnull=True),
                name="review_one_first_read_per_study",
            ),
            models.CheckConstraint(
                condition=models.Q(decision__in=Decision.values), name="review_decision_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(decision="override") | ~models.Q(reason=""),
                name="review_override_has_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(reason__in=["", *OverrideReason.values]), name="review_reason_known"
            ),
            models.CheckConstraint(condition=models.Q(kind__in=ReviewKind.values), name="review_kind_known"),
            models.CheckConstraint(
                condition=models.Q(kind="signed") | models.Q(follows__isnull=False),
                name="review_addendum_follows",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="addendum") & ~models.Q(addendum="")
                | ~models.Q(kind="addendum") & models.Q(addendum=""),
                name="review_addendum_adds",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="correction") & ~models.Q(change_reason="")
                | ~models.Q(kind="correction") & models.Q(change_reason=""),
                name="review_correction_says_why",
            ),
            models.CheckConstraint(
                condition=models.Q(protocol__in=ReadingProtocol.values), name="review_protocol_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(reason="other") | ~models.Q(note=""), name="review_other_reason_has_note"
            ),
        ]

    def __str__(self) -> str:
        return f"Review {self.pk}"
