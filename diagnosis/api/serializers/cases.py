"""Second reads, discrepancies and critical results."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from diagnosis.api.fields import AwareDateTimeField, InputSerializer
from diagnosis.api.serializers.accounts import PersonSerializer
from diagnosis.api.serializers.reports import signing_password, text
from diagnosis.models import (
    CommunicationMethod,
    Confidence,
    CriticalCommunication,
    CriticalEscalation,
    CriticalResult,
    Discrepancy,
    DiscrepancyMove,
    SecondRead,
    SecondReadOpinion,
)
from diagnosis.models.review import REPORT_SECTIONS
from diagnosis.selectors.cases import hidden_reads
from diagnosis.selectors.reading import image_set_of
from diagnosis.selectors.studies import with_ai_shown
from diagnosis.services.case_words import cause_lines, discrepancy_words
from diagnosis.services.discrepancies import DECISION_CHOICES


class SecondReadOpinionSerializer(serializers.ModelSerializer[SecondReadOpinion]):
    reader = PersonSerializer(read_only=True)

    class Meta:
        model = SecondReadOpinion
        fields = [
            "role",
            "reader",
            "label",
            "label_display",
            "confidence",
            "note",
            *REPORT_SECTIONS,
            "signed_at",
        ]
        read_only_fields = fields


class SecondReadSerializer(serializers.ModelSerializer[SecondRead]):
    """``causes`` and ``opinions`` are empty for who may still read it second: they tell what others say."""

    holder = PersonSerializer(read_only=True, allow_null=True)
    causes = serializers.SerializerMethodField()
    opinions = serializers.SerializerMethodField()
    image_set = serializers.SerializerMethodField(
        help_text="Names the images that are read; sent back with the signature."
    )

    class Meta:
        model = SecondRead
        fields = [
            "id", "study", "state", "requested_at", "holder", "held_until", "closed_at", "causes", "opinions", "image_set",
        ]  # fmt: skip
        read_only_fields = fields

    def _is_hidden(self, second_read: SecondRead) -> bool:
        return bool(hidden_reads(self.context["request"].user, [second_read.study_id]))

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_causes(self, second_read: SecondRead) -> list[str]:
        if self._is_hidden(second_read):
            return []
        studies = type(second_read.study).objects.filter(pk=second_read.study_id)
        shown = with_ai_shown(studies, viewer=self.context["request"].user).values_list("ai_shown", flat=True)
        return cause_lines(second_read, ai_shown=bool(shown[0]))

    @extend_schema_field(SecondReadOpinionSerializer(many=True))
    def get_opinions(self, second_read: SecondRead) -> Any:
        rows = [] if self._is_hidden(second_read) else list(second_read.opinions.all())
        return SecondReadOpinionSerializer(rows, many=True).data

    @extend_schema_field(serializers.CharField())
    def get_image_set(self, second_read: SecondRead) -> str:
        return image_set_of(second_read.study.images.all())


class SecondReadRequestSerializer(InputSerializer):
    note = serializers.CharField(required=False, allow_blank=True, max_length=2_000, default="")


class _ReadFields(InputSerializer):
    label = serializers.CharField(max_length=64)  # type: ignore[assignment]
    confidence = serializers.ChoiceField(choices=Confidence.choices)
    signing_password = signing_password()


class SecondReadSignSerializer(_ReadFields):
    image_set = serializers.CharField(allow_blank=True, max_length=64)
    note = serializers.CharField(required=False, allow_blank=True, max_length=10_000, default="")
    findings = text()
    impression = text()
    comparison = text()


class AdjudicationSerializer(_ReadFields):
    note = serializers.CharField(max_length=10_000)


class ReasonSerializer(InputSerializer):
    reason = serializers.CharField(max_length=500)


class DiscrepancyMoveSerializer(serializers.ModelSerializer[DiscrepancyMove]):
    actor = PersonSerializer(read_only=True)

    class Meta:
        model = DiscrepancyMove
        fields = ["before", "after", "actor", "moved_at", "decision", "note"]
        read_only_fields = fields


class DiscrepancySerializer(serializers.ModelSerializer[Discrepancy]):
    study = serializers.UUIDField(source="review.study_id", read_only=True)
    words = serializers.SerializerMethodField(help_text="The rule that holds, in words.")
    moves = DiscrepancyMoveSerializer(many=True, read_only=True)

    class Meta:
        model = Discrepancy
        fields = [
            "id",
            "study",
            "review",
            "lab_result",
            "verdict",
            "rule",
            "words",
            "state",
            "opened_at",
            "moves",
        ]
        read_only_fields = fields

    def get_words(self, discrepancy: Discrepancy) -> str:
        return discrepancy_words(discrepancy)


class DiscrepancyNoteSerializer(InputSerializer):
    note = serializers.CharField(required=False, allow_blank=True, max_length=10_000, default="")


class DiscrepancyResolveSerializer(DiscrepancyNoteSerializer):
    decision = serializers.ChoiceField(choices=DECISION_CHOICES)


class CommunicationSerializer(serializers.ModelSerializer[CriticalCommunication]):
    told_by = PersonSerializer(read_only=True)

    class Meta:
        model = CriticalCommunication
        fields = ["told_by", "told_to", "told_at", "method", "read_back", "note"]
        read_only_fields = fields


class EscalationSerializer(serializers.ModelSerializer[CriticalEscalation]):
    contact = PersonSerializer(read_only=True)

    class Meta:
        model = CriticalEscalation
        fields = ["step", "contact", "escalated_at", "sent_at", "problem"]
        read_only_fields = fields


class CriticalResultSerializer(serializers.ModelSerializer[CriticalResult]):
    flagged_by = PersonSerializer(read_only=True)
    acknowledged_by = PersonSerializer(read_only=True, allow_null=True)
    cancelled_by = PersonSerializer(read_only=True, allow_null=True)
    communications = CommunicationSerializer(many=True, read_only=True)
    escalations = EscalationSerializer(many=True, read_only=True)
    reference = serializers.CharField(read_only=True)

    class Meta:
        model = CriticalResult
        fields = [
            "id", "reference", "study", "finding_code", "finding_display", "note", "state", "found_at", "flagged_by",
            "flagged_at", "escalate_at", "acknowledged_by", "acknowledged_at", "acknowledged_how", "cancelled_by",
            "cancelled_at", "cancel_reason", "communications", "escalations",
        ]  # fmt: skip
        read_only_fields = fields


class CriticalFlagSerializer(InputSerializer):
    finding = serializers.CharField(max_length=64, help_text="A code of the site's list.")
    found_at = AwareDateTimeField(required=False, allow_null=True, default=None)
    note = serializers.CharField(required=False, allow_blank=True, max_length=2_000, default="")


class CommunicationCreateSerializer(InputSerializer):
    told_to = serializers.CharField(max_length=200)
    method = serializers.ChoiceField(choices=CommunicationMethod.choices)
    told_at = AwareDateTimeField(required=False, allow_null=True, default=None)
    read_back = serializers.BooleanField()
    note = serializers.CharField(required=False, allow_blank=True, max_length=2_000, default="")
