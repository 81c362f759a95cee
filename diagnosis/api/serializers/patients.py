"""Patients, and how a request names one."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import serializers

from diagnosis.api.fields import InputSerializer, VisibleRecordField
from diagnosis.models import Patient, Sex, Site
from diagnosis.models.patient import PERSON_NAME_MAX_LENGTH

# In a DICOM person name these part the components, the groups and the values.
no_delimiters = RegexValidator(
    r"[\^=\\]",
    gettext_lazy(
        "The characters ^, = and \\ have a meaning in DICOM names. Send a name that needs them as person_name."
    ),
    inverse_match=True,
)


class PatientSerializer(serializers.ModelSerializer[Patient]):
    display_name = serializers.CharField(read_only=True)

    class Meta:
        model = Patient
        fields = ["id", "site", "mrn", "person_name", "display_name", "birth_date", "sex", "created_at"]
        read_only_fields = fields


class IdentityFields(serializers.Serializer[Any]):
    """Who a patient is; the service says what of it is not right."""

    person_name = serializers.CharField(
        required=False,
        max_length=PERSON_NAME_MAX_LENGTH,
        help_text="DICOM person name: Family^Given^Middle^Prefix^Suffix. In place of family_name and given_name.",
    )
    family_name = serializers.CharField(required=False, max_length=64, validators=[no_delimiters])
    given_name = serializers.CharField(required=False, max_length=64, validators=[no_delimiters])
    birth_date = serializers.DateField(required=False, allow_null=True)
    sex = serializers.ChoiceField(choices=Sex.choices, required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Puts the two names together as a DICOM person name."""
        attrs = super().validate(attrs)
        family, given = attrs.pop("family_name", ""), attrs.pop("given_name", "")
        if family or given:
            if "person_name" in attrs:
                raise serializers.ValidationError(
                    {
                        "person_name": _(
                            "Send the name once: as person_name, or as family_name and given_name."
                        )
                    }
                )
            attrs["person_name"] = f"{family}^{given}".rstrip("^")
        return attrs


class PatientCreateSerializer(IdentityFields, InputSerializer):
    site = VisibleRecordField(
        queryset=Site.objects.all(),
        required=False,
        help_text="May be left out where you add patients at one site alone.",
    )
    mrn = serializers.CharField(max_length=64)
