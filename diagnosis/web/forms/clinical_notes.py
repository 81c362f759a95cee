"""A PCR result, a symptom note."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.models import Exposure, PcrResult, Severity, Specimen, SymptomCode, Vaccination
from diagnosis.web.forms.base import DayInput, MomentInput, NumberField, PortalForm


class LabResultForm(PortalForm):
    result = forms.ChoiceField(label=gettext_lazy("Result"), choices=PcrResult, widget=forms.RadioSelect)
    collected_at = forms.DateTimeField(label=gettext_lazy("Sample collected"), widget=MomentInput)
    received_at = forms.DateTimeField(
        label=gettext_lazy("Result received"), widget=MomentInput, required=False
    )
    specimen = forms.ChoiceField(
        label=gettext_lazy("Specimen"), choices=Specimen, initial=Specimen.NASOPHARYNGEAL
    )
    ct_value = NumberField(
        label=gettext_lazy("Ct value"),
        required=False,
        help_text=gettext_lazy("Cycle threshold, 1 to 60, where the laboratory gives it."),
    )
    laboratory = forms.CharField(label=gettext_lazy("Laboratory"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="pcr_%s", **kwargs)
        self.fields["result"].error_messages["required"] = _("Choose what the laboratory found.")
        self.fields["collected_at"].error_messages["required"] = _("Enter when the sample was collected.")


def _severity_field(code: str) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=SymptomCode(code).label, choices=[("", _("No")), *Severity.choices], required=False
    )


class SymptomNoteForm(PortalForm):
    """One field for each coded symptom, named ``symptom_<SNOMED CT code>``, beside what was measured and written."""

    onset_date = forms.DateField(label=gettext_lazy("First symptoms on"), widget=DayInput, required=False)
    temperature_c = NumberField(label=gettext_lazy("Temperature (°C)"), required=False)
    spo2_percent = NumberField(label=gettext_lazy("SpO₂ (%)"), decimal_places=0, required=False)
    exposure = forms.ChoiceField(label=gettext_lazy("Contact"), choices=Exposure, required=False)
    vaccination = forms.ChoiceField(label=gettext_lazy("Vaccination"), choices=Vaccination, required=False)
    text = forms.CharField(
        label=gettext_lazy("Notes"), widget=forms.Textarea(attrs={"rows": 3}), required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="symptoms_%s", **kwargs)
        for code in SymptomCode.values:
            self.fields[f"symptom_{code}"] = _severity_field(code)

    @property
    def symptom_fields(self) -> list[forms.BoundField]:
        return [self[f"symptom_{code}"] for code in SymptomCode.values]

    @property
    def values(self) -> dict[str, Any]:
        """The arguments of ``symptom_note_add``."""
        values = {name: value for name, value in self.cleaned_data.items() if not name.startswith("symptom_")}
        chosen = {code: self.cleaned_data[f"symptom_{code}"] for code in SymptomCode.values}
        return {**values, "symptoms": {code: severity for code, severity in chosen.items() if severity}}
