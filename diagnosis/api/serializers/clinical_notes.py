"""PCR results, symptom notes and the timeline."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from diagnosis.api.fields import AwareDateTimeField, InputSerializer
from diagnosis.api.serializers.accounts import PersonSerializer
from diagnosis.api.serializers.studies import StudySerializer
from diagnosis.models import (
    Exposure,
    LabResult,
    PcrResult,
    Severity,
    Specimen,
    Symptom,
    SymptomCode,
    SymptomNote,
    Vaccination,
)


class LabResultSerializer(serializers.ModelSerializer[LabResult]):
    entered_by = PersonSerializer(read_only=True)

    class Meta:
        model = LabResult
        fields = [
            "id", "patient", "loinc", "specimen", "collected_at", "received_at", "result", "ct_value", "laboratory",
            "entered_by", "entered_at",
        ]  # fmt: skip
        read_only_fields = fields


class LabResultCreateSerializer(InputSerializer):
    result = serializers.ChoiceField(choices=PcrResult.choices)
    collected_at = AwareDateTimeField()
    received_at = AwareDateTimeField(required=False, allow_null=True)
    specimen = serializers.ChoiceField(choices=Specimen.choices, required=False)
    ct_value = serializers.DecimalField(max_digits=4, decimal_places=1, required=False, allow_null=True)
    laboratory = serializers.CharField(max_length=200, required=False, allow_blank=True)


class SymptomSerializer(serializers.ModelSerializer[Symptom]):
    display = serializers.CharField(source="get_code_display", read_only=True)

    class Meta:
        model = Symptom
        fields = ["code", "display", "severity"]
        read_only_fields = fields


class SymptomNoteSerializer(serializers.ModelSerializer[SymptomNote]):
    symptoms = SymptomSerializer(many=True, read_only=True)
    entered_by = PersonSerializer(read_only=True)

    class Meta:
        model = SymptomNote
        fields = [
            "id", "patient", "symptoms", "onset_date", "temperature_c", "spo2_percent", "exposure", "vaccination", "text",
            "noted_at", "entered_by", "entered_at",
        ]  # fmt: skip
        read_only_fields = fields


class SymptomInputSerializer(InputSerializer):
    code = serializers.ChoiceField(choices=SymptomCode.choices, help_text="SNOMED CT concept identifier.")
    severity = serializers.ChoiceField(choices=Severity.choices)


class SymptomNoteCreateSerializer(InputSerializer):
    symptoms = SymptomInputSerializer(many=True, required=False)
    onset_date = serializers.DateField(required=False, allow_null=True)
    temperature_c = serializers.DecimalField(max_digits=3, decimal_places=1, required=False, allow_null=True)
    spo2_percent = serializers.IntegerField(min_value=0, max_value=100, required=False, allow_null=True)
    exposure = serializers.ChoiceField(choices=Exposure.choices, required=False)
    vaccination = serializers.ChoiceField(choices=Vaccination.choices, required=False)
    text = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    noted_at = AwareDateTimeField(required=False, allow_null=True)

    def validate_symptoms(self, symptoms: list[dict[str, str]]) -> dict[str, str]:
        """Code → severity, as the service takes it."""
        by_code = {symptom["code"]: symptom["severity"] for symptom in symptoms}
        if len(by_code) != len(symptoms):
            raise serializers.ValidationError(
                _("A symptom is named twice. Send each once, with one severity.")
            )
        return by_code


class TimelineEntrySerializer(serializers.Serializer[Any]):
    """One dated fact; of the three records the one that ``kind`` names is there, the others are null."""

    kind = serializers.ChoiceField(choices=["study", "pcr", "symptoms"], read_only=True)
    at = serializers.DateTimeField(read_only=True)
    study = StudySerializer(read_only=True, allow_null=True)
    lab_result = LabResultSerializer(read_only=True, allow_null=True)
    symptom_note = SymptomNoteSerializer(read_only=True, allow_null=True)
