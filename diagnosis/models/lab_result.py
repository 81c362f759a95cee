"""PCR results, which stand beside the image."""

import uuid

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.models.patient import no_control_characters
from diagnosis.models.scoped import SiteScopedQuerySet

# SARS-CoV-2 RNA by NAA with probe detection in respiratory specimen.
LOINC_SARS_COV_2_PCR = "94500-6"


class Specimen(models.TextChoices):
    NASOPHARYNGEAL = "nasopharyngeal", gettext_lazy("Nasopharyngeal swab")
    OROPHARYNGEAL = "oropharyngeal", gettext_lazy("Oropharyngeal swab")
    SALIVA = "saliva", gettext_lazy("Saliva")
    SPUTUM = "sputum", gettext_lazy("Sputum")
    BAL = "bal", gettext_lazy("Bronchoalveolar lavage")
    OTHER = "other", gettext_lazy("Other")


class PcrResult(models.TextChoices):
    DETECTED = "detected", gettext_lazy("Detected")
    NOT_DETECTED = "not_detected", gettext_lazy("Not detected")
    INDETERMINATE = "indeterminate", gettext_lazy("Indeterminate")


class LabResult(models.Model):
    site_lookup = "patient__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey("diagnosis.Patient", on_delete=models.PROTECT, related_name="lab_results")
    loinc = models.CharField(
        gettext_lazy("LOINC code"), max_length=10, default=LOINC_SARS_COV_2_PCR, editable=False
    )
    specimen = models.CharField(max_length=16, choices=Specimen, default=Specimen.NASOPHARYNGEAL)
    collected_at = models.DateTimeField("collected")
    received_at = models.DateTimeField(gettext_lazy("result received"), null=True, blank=True)
    result = models.CharField(max_length=16, choices=PcrResult)
    ct_value = models.DecimalField(
        gettext_lazy("Ct value"),
        max_digits=4,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(60)],
        help_text=gettext_lazy("Cycle threshold, 1 to 60, where the laboratory gives it."),
    )
    laboratory = models.CharField(max_length=200, blank=True, validators=[no_control_characters])
    entered_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(auto_now_add=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("PCR result")
        ordering = ["-collected_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(result__in=PcrResult.values), name="lab_result_known"),
            models.CheckConstraint(
                condition=models.Q(specimen__in=Specimen.values), name="lab_specimen_known"
            ),
            models.CheckConstraint(
                condition=models.Q(received_at__isnull=True)
                | models.Q(received_at__gte=models.F("collected_at")),
                name="lab_result_received_after_collected",
                violation_error_message=gettext_lazy(
                    "The result cannot have been received before the sample was collected."
                ),
            ),
        ]
        indexes = [models.Index(fields=["patient", "-collected_at"], name="lab_result_latest")]

    def __str__(self) -> str:
        return f"PCR {self.get_result_display()}"

    def clean(self) -> None:
        now = timezone.now()
        for field in ("collected_at", "received_at"):
            value = getattr(self, field)
            if value is not None and value > now:
                raise ValidationError(
                    {field: _("This time lies in the future. Enter when it really happened.")}
                )
        if self.ct_value is not None and self.result == PcrResult.NOT_DETECTED:
            raise ValidationError(
                {"ct_value": _("A sample in which nothing was detected has no Ct value. Leave it empty.")}
            )
