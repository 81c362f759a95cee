"""A second radiologist's read of a signed study, and the third's word where the two disagree."""

import uuid

from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils.translation import gettext_lazy

from diagnosis.models.first_read import Confidence
from diagnosis.models.review import report_text_field
from diagnosis.models.scoped import SiteScopedQuerySet


class SecondReadState(models.TextChoices):
    HELD = "held", gettext_lazy("Waits for a free place")
    WAITING = "waiting", gettext_lazy("Waits for a second reader")
    TAKEN = "taken", gettext_lazy("Being read")
    TO_ADJUDICATE = "to_adjudicate", gettext_lazy("To be adjudicated")
    ADJUDICATING = "adjudicating", gettext_lazy("Being adjudicated")
    AGREED = "agreed", gettext_lazy("Both readers agree")
    ADJUDICATED = "adjudicated", gettext_lazy("Adjudicated")
    CANCELLED = "cancelled", gettext_lazy("Withdrawn")


#: Nobody has given the second read yet.
UNREAD_STATES = (SecondReadState.HELD, SecondReadState.WAITING, SecondReadState.TAKEN)
#: Somebody has it on the screen.
IN_HANDS_STATES = (SecondReadState.TAKEN, SecondReadState.ADJUDICATING)
OPEN_STATES = (*UNREAD_STATES, SecondReadState.TO_ADJUDICATE, SecondReadState.ADJUDICATING)


class SecondReadCauseKind(models.TextChoices):
    READER_PCR = "reader_pcr", gettext_lazy("Reader and PCR differ")
    READER_AI = "reader_ai", gettext_lazy("Reader and second opinion differ")
    AI_PCR = "ai_pcr", gettext_lazy("Second opinion and PCR differ")
    REQUESTED = "requested", gettext_lazy("Asked for")
    SAMPLED = "sampled", gettext_lazy("Drawn at random")


class SecondReadRole(models.TextChoices):
    SECOND = "second", gettext_lazy("Second reader")
    ADJUDICATOR = "adjudicator", gettext_lazy("Adjudicator")


class SecondRead(models.Model):
    """That a signed read is to be read by a second person, and how far it has come."""

    site_lookup = "study__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("diagnosis.Study", on_delete=models.PROTECT, related_name="second_reads")
    review = models.ForeignKey("diagnosis.Review", on_delete=models.PROTECT, related_name="second_reads")
    state = models.CharField(
        max_length=16, choices=SecondReadState, default=SecondReadState.HELD, editable=False
    )
    cause_rank = models.PositiveSmallIntegerField(
        help_text="Of its most urgent cause, 0 first; the order within one priority."
    )
    requested_at = models.DateTimeField(auto_now_add=True)
    holder = models.ForeignKey(
        "diagnosis.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    held_since = models.DateTimeField(null=True, blank=True)
    held_until = models.DateTimeField(
        null=True, blank=True, help_text="Then it goes back to the queue, so that nobody blocks a case."
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.ForeignKey(
        "diagnosis.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    cancel_reason = models.CharField(max_length=500, blank=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["requested_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["review"],
                condition=~models.Q(state="cancelled"),
                name="second_read_once_for_each_review",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=SecondReadState.values), name="second_read_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["taken", "adjudicating"], holder__isnull=False, held_until__isnull=False
                )
                | (~models.Q(state__in=["taken", "adjudicating"]) & models.Q(holder__isnull=True)),
                name="second_read_in_hands_has_holder",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="cancelled") | ~models.Q(cancel_reason=""),
                name="second_read_cancelled_has_reason",
            ),
        ]
        indexes = [
            models.Index(
                fields=["study"],
                condition=models.Q(state__in=["held", "waiting", "taken", "to_adjudicate", "adjudicating"]),
                name="second_read_open",
            ),
        ]

    def __str__(self) -> str:
        return f"Second read {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def is_unread(self) -> bool:
        return self.state in UNREAD_STATES

    @property
    def is_held(self) -> bool:
        return self.state == SecondReadState.HELD

    @property
    def is_cancelled(self) -> bool:
        return self.state == SecondReadState.CANCELLED

    @property
    def wants_adjudication(self) -> bool:
        return self.state in (SecondReadState.TO_ADJUDICATE, SecondReadState.ADJUDICATING)

    @property
    def is_being_adjudicated(self) -> bool:
        return self.state == SecondReadState.ADJUDICATING


class SecondReadCause(models.Model):
    """Why a second read was asked for: one row for each cause. Rows are only ever added."""

    second_read = models.ForeignKey(SecondRead, on_delete=models.PROTECT, related_name="causes")
    kind = models.CharField(max_length=16, choices=SecondReadCauseKind)
    rule = models.CharField(max_length=64, blank=True, help_text="The rule's code, of a conflict.")
    facts = models.JSONField(
        default=dict, help_text="What the rule looked at, or how the draw came out, at that time."
    )
    asked_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    note = models.TextField(max_length=2_000, validators=[MaxLengthValidator(2_000)], blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["second_read", "kind", "rule"], name="second_read_cause_once"),
            models.CheckConstraint(
                condition=models.Q(kind__in=SecondReadCauseKind.values), name="second_read_cause_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.second_read_id}"


class SecondReadOpinion(models.Model):
    """What the second reader or the adjudicator signed. Rows are only ever added."""

    site_lookup = "second_read__study__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    second_read = models.ForeignKey(SecondRead, on_delete=models.PROTECT, related_name="opinions")
    role = models.CharField(max_length=16, choices=SecondReadRole)
    reader = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=64)
    label_display = models.CharField(max_length=100, help_text="The label's name as the reader saw it.")
    confidence = models.CharField(max_length=16, choices=Confidence)
    first_read = models.ForeignKey(
        "diagnosis.FirstRead",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Of a second reader: the own read as it was locked, before the first one's was shown.",
    )
    note = models.TextField(max_length=10_000, validators=[MaxLengthValidator(10_000)], blank=True)
    findings = report_text_field()
    impression = report_text_field()
    comparison = report_text_field()
    signed_at = models.DateTimeField(auto_now_add=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["signed_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["second_read", "role"], name="second_read_opinion_once_for_role"),
            models.UniqueConstraint(
                fields=["second_read", "reader"], name="second_read_opinion_of_different_people"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=SecondReadRole.values), name="second_read_role_known"
            ),
            models.CheckConstraint(
                condition=models.Q(confidence__in=Confidence.values), name="second_read_confidence_known"
            ),
            models.CheckConstraint(
                condition=models.Q(role="adjudicator") | models.Q(first_read__isnull=False),
                name="second_read_is_locked_blind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} {self.pk}"


class SecondReadWaiver(models.Model):
    """A radiologist who saw the first read and so can read this case second no more. Rows are only ever added."""

    second_read = models.ForeignKey(SecondRead, on_delete=models.PROTECT, related_name="waivers")
    reader = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    waived_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["second_read", "reader"], name="second_read_waived_once"),
        ]

    def __str__(self) -> str:
        return f"Waiver {self.pk}"
