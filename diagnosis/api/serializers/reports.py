"""Reports: the draft of the caller, and what is added to a signed one."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from diagnosis.api.fields import InputSerializer, VisibleRecordField
from diagnosis.models import Confidence, OverrideReason, ReportDraft, Review, ReviewKind
from diagnosis.models.report_draft import DRAFT_FIELDS
from diagnosis.models.review import REPORT_TEXT_MAX_LENGTH


def text(**options: Any) -> serializers.CharField:
    """A section of a report."""
    return serializers.CharField(
        required=False, allow_blank=True, max_length=REPORT_TEXT_MAX_LENGTH, trim_whitespace=False, **options
    )


def signing_password() -> serializers.CharField:
    return serializers.CharField(
        required=False,
        write_only=True,
        trim_whitespace=False,
        max_length=4096,
        help_text="Your password, where the site asks for it to sign.",
    )


class ReportDraftSerializer(serializers.ModelSerializer[ReportDraft]):
    class Meta:
        model = ReportDraft
        fields = ["study", "kind", "basis", *DRAFT_FIELDS, "version", "saved_at"]
        read_only_fields = fields


class ReportDraftSaveSerializer(InputSerializer):
    version = serializers.IntegerField(
        min_value=0, help_text="Of the draft as you know it; 0 where there is none. Another one is a 409."
    )
    kind = serializers.ChoiceField(choices=ReviewKind.choices, default=ReviewKind.SIGNED)
    basis = VisibleRecordField(
        queryset=Review.objects.all(),
        required=False,
        allow_null=True,
        help_text="The version of the report that an addendum or a correction follows.",
    )
    label = serializers.CharField(  # type: ignore[assignment]
        required=False, allow_blank=True, max_length=64, help_text="As chosen so far; empty: not yet."
    )
    confidence = serializers.ChoiceField(choices=Confidence.choices, required=False, allow_blank=True)
    reason = serializers.ChoiceField(choices=OverrideReason.choices, required=False, allow_blank=True)
    findings = text()
    impression = text()
    comparison = text()
    note = text()
    addendum = text()
    change_reason = serializers.CharField(required=False, allow_blank=True, max_length=500)


class ReportDraftVersionSerializer(InputSerializer):
    version = serializers.IntegerField(min_value=1)


class AddendumSerializer(InputSerializer):
    follows = VisibleRecordField(
        queryset=Review.objects.all(), help_text="The newest version of the report, as you know it."
    )
    addendum = text()
    signing_password = signing_password()


class CorrectionSerializer(InputSerializer):
    """The whole report as it shall stand."""

    follows = VisibleRecordField(
        queryset=Review.objects.all(), help_text="The newest version of the report, as you know it."
    )
    change_reason = serializers.CharField(allow_blank=True, max_length=500)
    label = serializers.CharField(max_length=64)  # type: ignore[assignment]
    reason = serializers.ChoiceField(
        choices=OverrideReason.choices,
        required=False,
        allow_blank=True,
        help_text="Where the label is not that of the second opinion which the corrected read had before it.",
    )
    note = text()
    findings = text()
    impression = text()
    comparison = text()
    signing_password = signing_password()
