"""A finding that somebody must hear of at once, and who was told until one acknowledged it."""

import uuid

from django.core.validators import MaxLengthValidator, validate_slug
from django.db import models
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from diagnosis.models.patient import no_control_characters
from diagnosis.models.scoped import SiteScopedQuerySet
from diagnosis.sentences import SentenceField

#: Offered where a site has no list of its own. The project's own choice; a department decides what is critical to it.
DEFAULT_FINDINGS = (
    ("tension_pneumothorax", gettext_noop("Tension pneumothorax")),
    ("pneumothorax", gettext_noop("New pneumothorax")),
    ("misplaced_tube", gettext_noop("Misplaced tube or line")),
    ("free_air", gettext_noop("Free air under the diaphragm")),
    ("new_large_consolidation", gettext_noop("New large consolidation")),
    ("widened_mediastinum", gettext_noop("Newly widened mediastinum")),
    ("pulmonary_oedema", gettext_noop("Severe pulmonary oedema")),
    ("retained_foreign_body", gettext_noop("Retained foreign body")),
)


class CriticalFinding(models.Model):
    """One line of a site's own list."""

    site_lookup = "site"

    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="critical_findings")
    code = models.CharField(max_length=64, validators=[validate_slug])
    display = models.CharField("name", max_length=100, validators=[no_control_characters])
    position = models.PositiveSmallIntegerField(default=0)
    is_active = models.BooleanField("offered", default=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["position", "display"]
        constraints = [
            models.UniqueConstraint(fields=["site", "code"], name="critical_finding_once_at_site"),
        ]

    def __str__(self) -> str:
        return self.display


class EscalationContact(models.Model):
    """One person of a site's ordered list: told when nobody before has acknowledged."""

    site_lookup = "site"

    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="escalation_contacts")
    position = models.PositiveSmallIntegerField()
    user = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["site", "position"], name="escalation_contact_one_at_a_place"),
            models.UniqueConstraint(fields=["site", "user"], name="escalation_contact_once_at_site"),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.user}"


class CriticalState(models.TextChoices):
    OPEN = "open", gettext_lazy("Not acknowledged")
    ACKNOWLEDGED = "acknowledged", gettext_lazy("Acknowledged")
    CANCELLED = "cancelled", gettext_lazy("Entered by mistake")


class AcknowledgedHow(models.TextChoices):
    PORTAL = "portal", gettext_lazy("in the portal")
    READ_BACK = "read_back", gettext_lazy("read back to the reader")


class CriticalResult(models.Model):
    """A critical finding of a study. It is escalated until somebody acknowledges it; a wrong entry is cancelled and kept."""

    site_lookup = "study__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("diagnosis.Study", on_delete=models.PROTECT, related_name="critical_results")
    finding_code = models.CharField(max_length=64)
    finding_display = models.CharField(max_length=100, help_text="The finding's name as the reader chose it.")
    note = models.TextField(max_length=2_000, validators=[MaxLengthValidator(2_000)], blank=True)
    found_at = models.DateTimeField("found")
    flagged_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    flagged_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=16, choices=CriticalState, default=CriticalState.OPEN, editable=False)
    next_step = models.PositiveIntegerField(default=0, help_text="The step of escalation that comes next.")
    escalate_at = models.DateTimeField(
        null=True, blank=True, help_text="When the next person is told; null once it is not open any more."
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        "diagnosis.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    acknowledged_how = models.CharField(max_length=16, choices=AcknowledgedHow, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.ForeignKey(
        "diagnosis.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    cancel_reason = models.CharField(max_length=500, blank=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-flagged_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "finding_code"],
                condition=models.Q(state="open"),
                name="critical_result_open_once_for_finding",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=CriticalState.values), name="critical_result_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(state="open", escalate_at__isnull=False)
                | (~models.Q(state="open") & models.Q(escalate_at__isnull=True)),
                name="critical_result_escalates_while_open",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="acknowledged")
                | models.Q(acknowledged_by__isnull=False, acknowledged_at__isnull=False),
                name="critical_result_acknowledged_by_somebody",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="cancelled")
                | (
                    models.Q(cancelled_by__isnull=False, cancelled_at__isnull=False)
                    & ~models.Q(cancel_reason="")
                ),
                name="critical_result_cancelled_has_reason",
            ),
        ]
        indexes = [
            models.Index(
                fields=["escalate_at"], condition=models.Q(state="open"), name="critical_result_to_escalate"
            ),
        ]

    def __str__(self) -> str:
        return f"Critical result {self.reference}"

    @property
    def finding_words(self) -> str:
        """The finding's name; one of the portal's own list in the language of whoever reads it."""
        return gettext(self.finding_display)

    @property
    def reference(self) -> str:
        """What a mail may say: it names the case to those who can open it, and nobody else."""
        return f"{self.pk.hex[:4]}-{self.pk.hex[4:8]}".upper()

    @property
    def is_open(self) -> bool:
        return self.state == CriticalState.OPEN

    @property
    def is_cancelled(self) -> bool:
        return self.state == CriticalState.CANCELLED


class CommunicationMethod(models.TextChoices):
    PHONE = "phone", gettext_lazy("Phone")
    IN_PERSON = "in_person", gettext_lazy("In person")
    MESSAGE = "message", gettext_lazy("Message")


class CriticalCommunication(models.Model):
    """Who told whom, when and how, and whether it was read back. Rows are only ever added."""

    critical_result = models.ForeignKey(
        CriticalResult, on_delete=models.PROTECT, related_name="communications"
    )
    told_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    told_to = models.CharField(
        gettext_lazy("who was told"), max_length=200, validators=[no_control_characters]
    )
    told_at = models.DateTimeField("when")
    method = models.CharField("how", max_length=16, choices=CommunicationMethod)
    read_back = models.BooleanField(gettext_lazy("was read back"), default=False)
    note = models.TextField(max_length=2_000, validators=[MaxLengthValidator(2_000)], blank=True)
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["told_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(method__in=CommunicationMethod.values),
                name="critical_communication_method_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(told_to=""), name="critical_communication_has_listener"
            ),
        ]

    def __str__(self) -> str:
        return f"Communication {self.pk}"


class CriticalEscalation(models.Model):
    """One step: a person of the list is to be told by mail. Each step is taken once."""

    critical_result = models.ForeignKey(CriticalResult, on_delete=models.PROTECT, related_name="escalations")
    step = models.PositiveIntegerField()
    contact = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    escalated_at = models.DateTimeField(help_text="When this person's turn came.")
    claimed_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    problem = SentenceField(
        max_length=200, blank=True, help_text="Why no mail went out, for the person who reads it."
    )

    class Meta:
        ordering = ["step"]
        constraints = [
            models.UniqueConstraint(fields=["critical_result", "step"], name="critical_escalation_step_once"),
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(sent_at__isnull=True), name="critical_mail_to_send"
            ),
        ]

    def __str__(self) -> str:
        return f"Step {self.step} of {self.critical_result_id}"
