"""Files that come in, and what becomes of each."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from diagnosis.api.fields import AwareDateTimeField, InputSerializer, VisibleRecordField
from diagnosis.api.serializers.patients import IdentityFields
from diagnosis.models import Patient, Priority, Site
from diagnosis.services.studies import FileOutcome

MAX_FILES = 20
FILE_STATUSES = [
    FileOutcome.STORED.value,
    FileOutcome.DUPLICATE.value,
    FileOutcome.HELD.value,
    FileOutcome.REFUSED.value,
]


class UploadSerializer(IdentityFields, InputSerializer):
    files = serializers.ListField(
        child=serializers.FileField(allow_empty_file=True),
        min_length=1,
        max_length=MAX_FILES,
        help_text="DICOM, PNG, JPEG or TIFF; one part for each file, all of this name.",
    )
    site = VisibleRecordField(
        queryset=Site.objects.all(),
        required=False,
        help_text="May be left out where you upload at one site alone.",
    )
    patient = VisibleRecordField(
        queryset=Patient.objects.all(),
        required=False,
        help_text="An existing patient. Or send mrn; without both, each DICOM file's own header names the patient.",
    )
    mrn = serializers.CharField(
        max_length=64,
        required=False,
        help_text="The record number of an existing patient, or of one to be created.",
    )
    performed_at = AwareDateTimeField(required=False)
    study_description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    accession_number = serializers.CharField(max_length=64, required=False, allow_blank=True)
    priority = serializers.ChoiceField(choices=Priority.choices, required=False)
    accept_differences = serializers.BooleanField(
        required=False,
        default=False,
        help_text="A person has compared the differing patient data: it is the same patient.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        described = sorted({"person_name", "birth_date", "sex"} & set(attrs))
        if "patient" in attrs and ("mrn" in attrs or described):
            raise serializers.ValidationError(
                {
                    "patient": _(
                        "Name the patient once: by patient, or by mrn with the name, birth date and sex."
                    )
                }
            )
        if described and "mrn" not in attrs:
            raise serializers.ValidationError(
                {"mrn": _("A name alone identifies nobody. Send the record number too.")}
            )
        if "patient" in attrs and attrs.setdefault("site", attrs["patient"].site) != attrs["patient"].site:
            raise serializers.ValidationError(
                {"site": _("The patient belongs to another site. Leave site out.")}
            )
        return attrs


class FileResultSerializer(serializers.Serializer[Any]):
    file = serializers.CharField(help_text="The file's name, without folders.")
    status = serializers.ChoiceField(choices=FILE_STATUSES)
    code = serializers.CharField(
        allow_blank=True, help_text="Why it was refused or held, or is not analysed, for a program."
    )
    reason = serializers.CharField(allow_blank=True, help_text="The same as a sentence.")
    image = serializers.UUIDField(
        allow_null=True,
        help_text="The stored image; of a duplicate the one that was there, of a held file the one that it contradicts.",
    )
    study = serializers.UUIDField(allow_null=True)
    patient = serializers.UUIDField(allow_null=True)
    held = serializers.UUIDField(
        allow_null=True,
        help_text="The held file, by which an administrator finds it. To send it again changes nothing.",
    )


class UploadResultSerializer(serializers.Serializer[Any]):
    results = FileResultSerializer(
        many=True, help_text="One for each file, in the order in which they were sent."
    )
