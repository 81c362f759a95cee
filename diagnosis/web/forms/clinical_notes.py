"""A PCR result, a symptom note."""

from __future__ import annotations

from typing import Any

from django import forms

from diagnosis.models import Exposure, PcrResult, Severity, Specimen, SymptomCode, Vaccination
from diagnosis.web.forms.base import DayInput, MomentInput, NumberField, PortalForm


class LabResultForm(PortalForm):
    result = forms.ChoiceField(choices=PcrResult, widget=forms.RadioSelect)
    collected_at = forms.DateTimeField(label="Sample collected", widget=MomentInput)
    received_at = forms.DateTimeField(label="Result received", widget=MomentInput, required=False)
    specimen = forms.ChoiceField(choices=Specimen, initial=Specimen.NASOPHARYNGEAL)
    ct_value = NumberField(
        label="Ct value", required=False, help_text="Cycle threshold, 1 to 60, where the laboratory gives it."
    )
    laboratory = forms.CharField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="pcr_%s", **kwargs)
        self.fields["result"].error_messages["required"] = "Choose what the laboratory found."
        self.fields["collected_at"].error_messages["required"] = "Enter when the sample was collected."


def _severity_field(code: str) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=SymptomCode(code).label, choices=[("", "No"), *Severity.choices], required=False
    )


class SymptomNoteForm(PortalForm):
    """One field for each coded symptom, named ``symptom_<SNOMED CT code>``, beside what was measured and written."""

    onset_date = forms.DateField(label="First symptoms on", widget=DayInput, required=False)
    temperature_c = NumberField(label="Temperature (°C)", required=False)
    spo2_percent = NumberField(label="SpO₂ (%)", decimal_places=0, required=False)
    exposure = forms.ChoiceField(label="Contact", choices=Exposure, required=False)
    vaccination = forms.ChoiceField(label="Vaccination", choices=Vaccination, required=False)
    text = forms.CharField(label="Notes", widget=forms.Textarea(attrs={"rows": 3}), required=False)

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
