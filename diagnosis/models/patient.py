"""The patient, as DICOM and the hospital's record know them."""

import datetime as dt
import uuid

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydicom.valuerep import PersonName

from diagnosis.models.scoped import SiteScopedQuerySet
from diagnosis.models.search_key import DerivedField, name_key, search_terms

# PS3.5 6.2: a PN component group has at most 64 characters, and there are at most three groups.
PERSON_NAME_MAX_LENGTH = 3 * 64 + 2
OLDEST_AGE_YEARS = 130

no_control_characters = RegexValidator(
    r"[\x00-\x1f\x7f]",
    gettext_lazy("Control characters such as line breaks are not allowed here. Remove them."),
    code="control_characters",
    inverse_match=True,
)


def validate_birth_date(value: dt.date) -> None:
    today = timezone.localdate()
    if value > today:
        raise ValidationError(_("The birth date lies in the future. Check the year."))
    if today.year - value.year > OLDEST_AGE_YEARS:
        raise ValidationError(
            _("The birth date is more than %(years)d years ago. Check the year."),
            params={"years": OLDEST_AGE_YEARS},
        )


class Sex(models.TextChoices):
    """DICOM Patient's Sex (0010,0040); blank when it is not known."""

    FEMALE = "F", gettext_lazy("Female")
    MALE = "M", gettext_lazy("Male")
    OTHER = "O", gettext_lazy("Other")


class Patient(models.Model):
    site_lookup = "site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="patients")
    mrn = models.CharField(
        gettext_lazy("record number"),
        max_length=64,
        validators=[no_control_characters],
        help_text="The medical record number, unique at this hospital.",
    )
    person_name = models.CharField(
        "name",
        max_length=PERSON_NAME_MAX_LENGTH,
        blank=True,
        validators=[no_control_characters],
        help_text="DICOM person name: Family^Given^Middle^Prefix^Suffix, and =ideographic=phonetic groups where there are any.",
    )
    birth_date = models.DateField(null=True, blank=True, validators=[validate_birth_date])
    sex = models.CharField(max_length=1, choices=Sex, blank=True)
    search_terms = DerivedField(
        help_text="What the patient is found by: see ``diagnosis.models.search_key``."
    )
    name_key = DerivedField(help_text="What lists are sorted by.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "mrn"], name="patient_mrn_unique_at_site"),
            models.CheckConstraint(condition=models.Q(sex__in=["", *Sex.values]), name="patient_sex_known"),
            models.CheckConstraint(condition=~models.Q(mrn=""), name="patient_mrn_present"),
        ]

    def __str__(self) -> str:
        return f"{self.display_name} ({self.mrn})"

    @property
    def derived_search_terms(self) -> str:
        return search_terms(person_name=self.person_name, mrn=self.mrn)

    @property
    def derived_name_key(self) -> str:
        return name_key(self.person_name)

    @property
    def display_name(self) -> str:
        """“Family, Given Middle” of the alphabetic group, followed by the ideographic group where there is one."""
        name = PersonName(self.person_name)
        given = " ".join(part for part in (name.given_name, name.middle_name) if part)
        alphabetic = ", ".join(part for part in (name.family_name, given) if part)
        ideographic = name.ideographic.replace("^", " ").strip()
        shown = f"{alphabetic} {ideographic}".strip()
        return shown or _("Name not recorded")

    def age_on(self, day: dt.date) -> int | None:
        """Age in completed years on ``day``; ``None`` when the birth date is not known or later than ``day``."""
        if self.birth_date is None or day < self.birth_date:
            return None
        had_birthday = (day.month, day.day) >= (self.birth_date.month, self.birth_date.day)
        return day.year - self.birth_date.year - (0 if had_birthday else 1)


class PatientTerm(models.Model):
    """One word by which a patient is found. Written by the database from ``Patient.search_terms``: see ``worklist_facts``."""

    site = models.ForeignKey("diagnosis.Site", on_delete=models.CASCADE, related_name="+", db_index=False)
    term = models.TextField()
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="terms")

    class Meta:
        indexes = [
            models.Index(
                fields=["site", "term", "patient"],
                name="patient_term",
                # A prefix is a range of this index whatever the language of the database sorts by.
                opclasses=["int8_ops", "text_pattern_ops", "uuid_ops"],
            ),
        ]

    def __str__(self) -> str:
        return f"Term of patient {self.patient_id}"
