"""What the patient reports and what was measured at the bedside."""

import uuid

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet


class SymptomCode(models.TextChoices):
    """SNOMED CT concept identifiers."""

    FEVER = "386661006", gettext_lazy("Fever")
    COUGH = "49727002", gettext_lazy("Cough")
    DYSPNOEA = "267036007", gettext_lazy("Shortness of breath")
    FATIGUE = "84229001", gettext_lazy("Fatigue")
    MYALGIA = "68962001", gettext_lazy("Muscle pain")
    HEADACHE = "25064002", gettext_lazy("Headache")
    SORE_THROAT = "162397003", gettext_lazy("Sore throat")
    ANOSMIA = "44169009", gettext_lazy("Loss of smell")
    AGEUSIA = "36955009", gettext_lazy("Loss of taste")
    CHEST_PAIN = "29857009", gettext_lazy("Chest pain")
    DIARRHOEA = "62315008", gettext_lazy("Diarrhoea")
    NAUSEA = "422587007", gettext_lazy("Nausea")


class Severity(models.TextChoices):
    MILD = "mild", gettext_lazy("Mild")
    MODERATE = "moderate", gettext_lazy("Moderate")
    SEVERE = "severe", gettext_lazy("Severe")


class Exposure(models.TextChoices):
    UNKNOWN = "", gettext_lazy("Not known")
    NONE = "none", gettext_lazy("No known contact")
    CONTACT = "contact", gettext_lazy("Contact with a confirmed case")


class Vaccination(models.TextChoices):
    UNKNOWN = "", gettext_lazy("Not known")
    NONE = "none", gettext_lazy("Not vaccinated")
    PARTIAL = "partial", gettext_lazy("Incomplete")
    COMPLETE = "complete", gettext_lazy("Complete")


class SymptomNote(models.Model):
    site_lookup = "patient__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey("diagnosis.Patient", on_delete=models.PROTECT, related_name="symptom_notes")
    onset_date = models.DateField(gettext_lazy("first symptoms on"), null=True, blank=True)
    temperature_c = models.DecimalField(
        gettext_lazy("temperature (°C)"),
        max_digits=3,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(25), MaxValueValidator(45)],
    )
    spo2_percent = models.PositiveSmallIntegerField(
        "SpO₂ (%)", null=True, blank=True, validators=[MinValueValidator(30), MaxValueValidator(100)]
    )
    exposure = models.CharField(max_length=8, choices=Exposure, blank=True)
    vaccination = models.CharField(max_length=8, choices=Vaccination, blank=True)
    text = models.TextField("notes", max_length=10_000, validators=[MaxLengthValidator(10_000)], blank=True)
    noted_at = models.DateTimeField("noted", default=timezone.now)
    entered_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(auto_now_add=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-noted_at", "-id"]
        indexes = [models.Index(fields=["patient", "-noted_at"], name="symptom_note_latest")]

    def __str__(self) -> str:
        return f"Symptom note {self.pk}"

    def clean(self) -> None:
        if self.noted_at > timezone.now():
            raise ValidationError(
                {"noted_at": _("This time lies in the future. Enter when it really happened.")}
            )
        if self.onset_date is not None and self.onset_date > timezone.localdate():
            raise ValidationError(
                {"onset_date": _("This day lies in the future. Enter the day of the first symptoms.")}
            )


class Symptom(models.Model):
    """One coded symptom of a note."""

    note = models.ForeignKey(SymptomNote, on_delete=models.PROTECT, related_name="symptoms")
    code = models.CharField(max_length=16, choices=SymptomCode)
    severity = models.CharField(max_length=8, choices=Severity)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["note", "code"], name="symptom_once_per_note"),
            models.CheckConstraint(
                condition=models.Q(code__in=SymptomCode.values), name="symptom_code_known"
            ),
            models.CheckConstraint(
                condition=models.Q(severity__in=Severity.values), name="symptom_severity_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_code_display()} ({self.get_severity_display()})"
