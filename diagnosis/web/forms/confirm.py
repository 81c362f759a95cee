"""Whose images these are: an existing patient or a new one, and when they were taken."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydicom.valuerep import PersonName

from diagnosis.models import Patient, Priority, Sex, User
from diagnosis.web.forms.base import DayInput, MomentInput, PortalForm
from diagnosis.web.waiting import FileGroup

EXISTING, NEW = "existing", "new"


def _no_name_separators(value: str) -> None:
    if "^" in value or "=" in value:
        raise ValidationError(_("The signs ^ and = part the components of a DICOM name. Leave them out."))


class ConfirmForm(PortalForm):
    images = forms.MultipleChoiceField()
    choice = forms.ChoiceField(
        choices=[(EXISTING, gettext_lazy("Patient on record")), (NEW, gettext_lazy("New patient"))],
        widget=forms.RadioSelect,
    )
    patient = forms.ModelChoiceField(Patient.objects.none(), required=False)
    patient_query = forms.CharField(label=gettext_lazy("Name or record number"), required=False)
    mrn = forms.CharField(label=gettext_lazy("Record number"), required=False)
    family_name = forms.CharField(
        label=gettext_lazy("Family name"), required=False, validators=[_no_name_separators]
    )
    given_name = forms.CharField(
        label=gettext_lazy("Given name"), required=False, validators=[_no_name_separators]
    )
    birth_date = forms.DateField(label=gettext_lazy("Birth date"), widget=DayInput, required=False)
    sex = forms.ChoiceField(
        label=gettext_lazy("Sex"), choices=[("", gettext_lazy("Not known")), *Sex.choices], required=False
    )
    performed_at = forms.DateTimeField(
        label=gettext_lazy("Taken on"),
        widget=MomentInput,
        required=False,
        help_text=gettext_lazy("Left empty, the time of the upload stands for it."),
    )
    accession_number = forms.CharField(label=gettext_lazy("Accession number"), required=False)
    priority = forms.ChoiceField(label=gettext_lazy("Priority"), choices=Priority, initial=Priority.ROUTINE)
    same_person = forms.BooleanField(
        label=gettext_lazy("I have compared both: this is the same person."), required=False
    )
    compared = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, user: User, group: FileGroup, match: Patient | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, prefix=group.key, initial=_initial(group, match), **kwargs)
        self.user, self.group = user, group
        images = cast(forms.MultipleChoiceField, self.fields["images"])
        images.choices = [(str(incoming.pk), incoming.original_name) for incoming in group.files]
        images.error_messages["required"] = _("Tick at least one image.")
        images.error_messages["invalid_choice"] = _(
            "One of these files is not waiting any more. Look at what is still here and confirm that."
        )
        self.own_patients = Patient.objects.visible_to(user).filter(site=group.site)
        cast("forms.ModelChoiceField[Patient]", self.fields["patient"]).queryset = self.own_patients
        if group.says_when:
            del self.fields["performed_at"]
        if group.is_dicom:
            del self.fields["accession_number"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("choice") == EXISTING and values.get("patient") is None:
            values["patient"] = self._by_record_number(values.get("patient_query", ""))
            if values["patient"] is None and "patient" not in self.errors:
                self.add_error(
                    "patient", _("Choose the patient: search by name or record number and pick one.")
                )
        if values.get("choice") == NEW:
            values["patient"] = None
            if not values.get("mrn") and "mrn" not in self.errors:
                self.add_error(
                    "mrn", _("Enter the record number: it tells two patients of the same name apart.")
                )
        return values

    def _by_record_number(self, query: str) -> Patient | None:
        return self.own_patients.filter(mrn=query).first() if query else None

    @property
    def chosen_files(self) -> list[Any]:
        chosen = set(self.cleaned_data["images"])
        return [incoming for incoming in self.group.files if str(incoming.pk) in chosen]

    @property
    def new_patient(self) -> dict[str, Any]:
        """The arguments of ``patient_create``."""
        values = self.cleaned_data
        return {
            "site": self.group.site,
            "mrn": values["mrn"],
            "person_name": self._person_name(),
            "birth_date": values["birth_date"],
            "sex": values["sex"],
        }

    def _person_name(self) -> str:
        """What the file says, with its ideographic and phonetic groups, unless a name was typed over it."""
        typed = (self.cleaned_data["family_name"], self.cleaned_data["given_name"])
        in_file = self.group.header.get("patient_name") or ""
        if in_file and typed == _family_and_given(in_file):
            return in_file
        return "^".join(typed).rstrip("^")

    @property
    def described(self) -> dict[str, Any]:
        """What ``study_submit`` is told about the study."""
        names = ("performed_at", "accession_number", "priority")
        return {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}


def _family_and_given(person_name: str) -> tuple[str, str]:
    name = PersonName(person_name)
    return name.family_name, name.given_name


def _initial(group: FileGroup, match: Patient | None) -> dict[str, Any]:
    header = group.header
    family_name, given_name = _family_and_given(header.get("patient_name") or "")
    return {
        "images": [str(incoming.pk) for incoming in group.files],
        "choice": NEW if group.is_dicom and match is None else EXISTING,
        "patient": match,
        "mrn": header.get("patient_id") or "",
        "family_name": family_name,
        "given_name": given_name,
        "birth_date": header.get("patient_birth_date"),
        "sex": header.get("patient_sex") or "",
    }
