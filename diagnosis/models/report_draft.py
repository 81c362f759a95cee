"""What a reader has written of a report and not signed yet."""

import uuid

from django.db import models

from diagnosis.models.first_read import Confidence
from diagnosis.models.review import OverrideReason, ReviewKind, report_text_field
from diagnosis.models.scoped import SiteScopedQuerySet

#: What a draft keeps: what is typed, and what is chosen.
DRAFT_TEXTS = ("comparison", "findings", "impression", "note", "addendum", "change_reason")
DRAFT_CHOICES = ("label", "confidence", "reason")
DRAFT_FIELDS = (*DRAFT_CHOICES, *DRAFT_TEXTS)


class ReportDraft(models.Model):
    """The unsigned read of one reader for one study: its author's alone, and gone once it is signed or discarded.

    It holds what the author typed and chose, and nothing of the network. ``version`` grows by one with every save: a window
    that knows an older one is told so, and does not overwrite what was written elsewhere.
    """

    site_lookup = "study__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("diagnosis.Study", on_delete=models.PROTECT, related_name="report_drafts")
    author = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16, choices=ReviewKind, default=ReviewKind.SIGNED)
    basis = models.ForeignKey(
        "diagnosis.Review",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The read that the author had before them; empty where there was none.",
    )
    label = models.CharField(max_length=64, blank=True, help_text="A label's code, as chosen so far.")
    confidence = models.CharField(max_length=16, choices=Confidence, blank=True)
    reason = models.CharField(max_length=32, choices=OverrideReason, blank=True)
    findings = report_text_field()
    impression = report_text_field()
    comparison = report_text_field()
    note = report_text_field()
    addendum = report_text_field()
    change_reason = models.CharField(max_length=500, blank=True)
    version = models.PositiveIntegerField(default=1)
    saved_at = models.DateTimeField()

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "author"], name="report_draft_one_per_reader"),
            models.CheckConstraint(
                condition=models.Q(kind__in=ReviewKind.values), name="report_draft_kind_known"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    confidence__in=["", *Confidence.values], reason__in=["", *OverrideReason.values]
                ),
                name="report_draft_choices_known",
            ),
        ]

    def __str__(self) -> str:
        return f"Draft {self.pk}"

    @property
    def has_text(self) -> bool:
        """Whether anything that was typed would be lost with it."""
        return any(getattr(self, name).strip() for name in DRAFT_TEXTS)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is typed and nothing is chosen."""
        return not any(getattr(self, name).strip() for name in DRAFT_FIELDS)

    def fits(self, kind: str, basis_id: uuid.UUID | None) -> bool:
        """Whether it goes on as a draft of this kind, over this version of the report.

        A correction holds the whole text of its basis: over a newer version it would take back what that one changed.
        """
        return self.kind == kind and (kind != ReviewKind.CORRECTION or self.basis_id == basis_id)
