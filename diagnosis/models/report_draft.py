"""What a reader has written of a report and not signed yet."""

import uuid

from django.db import models

from diagnosis.models.review import ReviewKind, report_text_field
from diagnosis.models.scoped import SiteScopedQuerySet

#: What a draft keeps.
DRAFT_TEXTS = ("comparison", "findings", "impression", "note", "addendum", "change_reason")


class ReportDraft(models.Model):
    """The unsigned text of one reader for one study: its author's alone, and gone once it is signed or discarded.

    It holds what the author typed and nothing of the network. ``version`` grows by one with every save: a window that knows
    an older one is told so, and does not overwrite what was written elsewhere.
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
        ]

    def __str__(self) -> str:
        return f"Draft {self.pk}"

    @property
    def has_text(self) -> bool:
        """Whether anything would be lost with it."""
        return any(getattr(self, name).strip() for name in DRAFT_TEXTS)

    @property
    def texts(self) -> list[tuple[str, str]]:
        """(name for people, text) of what is not empty."""
        names = [(name.replace("_", " ").capitalize(), getattr(self, name)) for name in DRAFT_TEXTS]
        return [(name, text) for name, text in names if text.strip()]

    def fits(self, kind: str, basis_id: uuid.UUID | None) -> bool:
        """Whether it goes on as a draft of this kind, over this version of the report.

        A correction holds the whole text of its basis: over a newer version it would take back what that one changed.
        """
        return self.kind == kind and (kind != ReviewKind.CORRECTION or self.basis_id == basis_id)
