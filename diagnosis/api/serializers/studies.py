"""Studies with their images, second opinions and reads."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from diagnosis.api.fields import InputSerializer
from diagnosis.api.serializers.accounts import PersonSerializer
from diagnosis.api.serializers.patients import PatientSerializer
from diagnosis.models import (
    Confidence,
    Decision,
    FirstRead,
    Image,
    ModelVersion,
    OpinionReveal,
    OverrideReason,
    PcrResult,
    Prediction,
    ReadingProtocol,
    Review,
    Study,
    StudyStatus,
)
from diagnosis.selectors.outcomes import Outcome, outcome_of
from diagnosis.selectors.reading import Reading, reading_of
from diagnosis.selectors.studies import (
    SecondOpinion,
    current_predictions,
    current_review,
    is_ai_hidden,
    reader_labels,
    second_opinion,
    shown_status,
)

NOTICE = gettext_lazy("A second opinion, not a diagnosis.")


class LabelSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    display = serializers.CharField()


class ScoreSerializer(LabelSerializer):
    probability = serializers.FloatField(min_value=0, max_value=1)


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    class Meta:
        model = ModelVersion
        fields = ["name", "version", "sha256"]
        read_only_fields = fields


class ModelVersionDetailSerializer(ModelVersionSerializer):
    labels = LabelSerializer(many=True, read_only=True)
    card = serializers.DictField(read_only=True, help_text="The model's card: its figures, data and limits.")

    class Meta(ModelVersionSerializer.Meta):
        fields = ["id", *ModelVersionSerializer.Meta.fields, "is_active", "labels", "created_at", "card"]
        read_only_fields = fields


class PredictionSerializer(serializers.ModelSerializer[Prediction]):
    model_version = ModelVersionSerializer(read_only=True)
    label_display = serializers.SerializerMethodField()
    possible_labels = serializers.SerializerMethodField(
        help_text="The labels that the model cannot rule out. More than one: it is unsure, whatever `label` says."
    )
    unsure = serializers.BooleanField(source="is_unsure", read_only=True)
    scores = serializers.SerializerMethodField(help_text="Empty until the analysis is done.")
    can_run_again = serializers.BooleanField(read_only=True)
    notice = serializers.SerializerMethodField()

    class Meta:
        model = Prediction
        fields = [
            "id", "image", "status", "label", "label_display", "possible_labels", "unsure", "scores", "operating_point",
            "model_version", "reason", "refusal_code", "can_run_again", "timings", "requested_at", "finished_at", "notice",
        ]  # fmt: skip
        read_only_fields = fields

    def get_label_display(self, prediction: Prediction) -> str:
        return prediction.label_display if prediction.label else ""

    @extend_schema_field(LabelSerializer(many=True))
    def get_possible_labels(self, prediction: Prediction) -> list[dict[str, str]]:
        pairs = zip(prediction.possible_labels, prediction.possible_displays, strict=True)
        return [{"code": code, "display": display} for code, display in pairs]

    @extend_schema_field(ScoreSerializer(many=True))
    def get_scores(self, prediction: Prediction) -> list[dict[str, Any]]:
        return [
            {"code": code, "display": display, "probability": probability}
            for code, display, probability in prediction.scores
        ]

    def get_notice(self, prediction: Prediction) -> str:
        return str(NOTICE)


class ImageSerializer(serializers.ModelSerializer[Image]):
    prediction = serializers.SerializerMethodField(help_text="The newest second opinion on this image.")
    not_analysed_reason = serializers.CharField(
        read_only=True, help_text="Why the network is not asked about it, as a sentence; empty where it is."
    )
    is_shown = serializers.BooleanField(
        read_only=True, help_text="Whether there is a preview: not of a report, or of several frames."
    )

    class Meta:
        model = Image
        fields = [
            "id", "study", "original_name", "kind", "road", "sha256", "stored_sha256", "size", "rows", "columns", "sop_class_uid",
            "sop_instance_uid", "series_instance_uid", "series_number", "instance_number", "transfer_syntax_uid",
            "number_of_frames", "modality", "body_part_examined", "view_position", "laterality", "is_shown",
            "not_analysed_code", "not_analysed_reason", "created_at", "prediction",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(PredictionSerializer(allow_null=True))
    def get_prediction(self, image: Image) -> Any:
        newest = current_predictions([image])
        return PredictionSerializer(newest[0]).data if newest else None


class SeenPredictionSerializer(serializers.Serializer[Any]):
    prediction = serializers.UUIDField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    possible_labels = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Not in reads signed before models could be unsure.",
    )
    model_version = serializers.CharField()


class FirstReadSerializer(serializers.ModelSerializer[FirstRead]):
    reader = PersonSerializer(read_only=True)
    revealed_at = serializers.SerializerMethodField(
        help_text="When the second opinion was shown to this reader; null while it was not."
    )

    class Meta:
        model = FirstRead
        fields = [
            "id", "study", "reader", "label", "label_display", "confidence", "protocol", "image_set", "started_at",
            "locked_at", "revealed_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_revealed_at(self, first_read: FirstRead) -> dt.datetime | None:
        reveal: OpinionReveal | None = getattr(first_read, "reveal", None)
        return reveal.revealed_at if reveal else None


class FirstReadLockSerializer(InputSerializer):
    label = serializers.CharField(max_length=64, help_text="One of `reader_labels`.")  # type: ignore[assignment]
    confidence = serializers.ChoiceField(
        choices=Confidence.choices, help_text="How sure the reader is of the label."
    )
    image_set = serializers.CharField(
        max_length=64, help_text="`reading.image_set` of the study as the reader saw it."
    )


class ReviewSerializer(serializers.ModelSerializer[Review]):
    """A signed read. It must come through ``reviews_shown``."""

    reader = PersonSerializer(read_only=True)
    decision = serializers.SerializerMethodField(help_text="Empty where it would tell what is hidden.")
    reason = serializers.SerializerMethodField(help_text="Why the second opinion was overridden.")
    seen_predictions = serializers.SerializerMethodField(
        help_text="What the reader had on screen; null where that is hidden."
    )
    first_read = FirstReadSerializer(
        read_only=True, allow_null=True, help_text="The own read, locked before the second opinion was shown."
    )

    class Meta:
        model = Review
        fields = [
            "id", "study", "kind", "follows", "reader", "protocol", "first_read", "decision", "label", "label_display",
            "reason", "note", "findings", "impression", "comparison", "addendum", "change_reason", "seen_predictions",
            "signed_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=Decision.choices, allow_blank=True))
    def get_decision(self, review: Review) -> str:
        return review.decision if review.ai_shown else ""  # type: ignore[attr-defined]  # Annotated by the selector.

    @extend_schema_field(serializers.ChoiceField(choices=OverrideReason.choices, allow_blank=True))
    def get_reason(self, review: Review) -> str:
        return review.reason if review.ai_shown else ""  # type: ignore[attr-defined]

    @extend_schema_field(SeenPredictionSerializer(many=True, allow_null=True))
    def get_seen_predictions(self, review: Review) -> Any:
        if not review.ai_shown:  # type: ignore[attr-defined]
            return None
        return SeenPredictionSerializer(review.seen_predictions, many=True).data


class ReviewSignSerializer(InputSerializer):
    decision = serializers.ChoiceField(
        choices=Decision.choices,
        help_text="Where the second opinion names one label: `confirm` or `override`; several: `decide` for one of them or "
        "`override` all; none: `unaided`.",
    )
    opinion_token = serializers.CharField(
        allow_blank=True,
        max_length=10_000,
        help_text="`second_opinion.token` of the study as the reader saw it.",
    )
    label = serializers.CharField(  # type: ignore[assignment]
        required=False,
        allow_blank=True,
        max_length=64,
        help_text="One of `reader_labels`; may be left out to confirm.",
    )
    reason = serializers.ChoiceField(choices=OverrideReason.choices, required=False, allow_blank=True)
    note = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    findings = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    impression = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    comparison = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    draft_version = serializers.IntegerField(
        required=False,
        min_value=0,
        help_text="Of your draft of this report, which ends with the signature. Left out, a draft stays.",
    )
    signing_password = serializers.CharField(
        required=False,
        write_only=True,
        trim_whitespace=False,
        max_length=4096,
        help_text="Your password, where the site asks for it to sign.",
    )


class SecondOpinionSerializer(serializers.Serializer[SecondOpinion]):
    """What the network says about the study as a whole."""

    label = serializers.CharField(  # type: ignore[assignment]
        help_text="Empty while nothing is known, and where several labels are named: then there is nothing to confirm."
    )
    label_display = serializers.CharField()
    possible_labels = serializers.SerializerMethodField(
        help_text="The labels named for any image. Of several, a reader decides for one or overrides all."
    )
    unsure = serializers.BooleanField(
        source="is_unsure", help_text="The model cannot rule out a second label for some image."
    )
    is_pending = serializers.BooleanField()
    is_mixed = serializers.BooleanField(help_text="The images of the study get different opinions.")
    is_refused = serializers.BooleanField(
        help_text="The model refused every image: no second opinion will come by itself."
    )
    has_failed = serializers.BooleanField()
    is_hidden = serializers.BooleanField(
        help_text="Nothing of the network may reach you yet: lock a first read, or wait for the signed one. All other fields "
        "are then empty, whatever the network says."
    )
    token = serializers.CharField(help_text="Names exactly this opinion: send it back with a signature.")
    notice = serializers.SerializerMethodField()

    @extend_schema_field(LabelSerializer(many=True))
    def get_possible_labels(self, opinion: SecondOpinion) -> list[dict[str, str]]:
        return [{"code": code, "display": display} for code, display in opinion.possible.items()]

    def get_notice(self, opinion: SecondOpinion) -> str:
        return str(NOTICE)


class ReadingSerializer(serializers.Serializer[Reading]):
    """Where the caller stands with the case by the reading protocol of its site."""

    protocol = serializers.ChoiceField(choices=ReadingProtocol.choices)
    image_set = serializers.CharField(
        help_text="Names the images that the network is asked about: send it with a first read."
    )
    awaits_first_read = serializers.BooleanField(
        help_text="The next act is to lock a first read of these images."
    )
    awaits_reveal = serializers.BooleanField(
        help_text="A first read is locked, and the second opinion not shown yet: ask for its reveal, or sign unaided."
    )
    first_read = FirstReadSerializer(
        allow_null=True,
        help_text="What the caller locked for these images before the second opinion was shown.",
    )


class StudySerializer(serializers.ModelSerializer[Study]):
    """A study as the lists show it. It must come through ``studies_with_opinion``."""

    patient = PatientSerializer(read_only=True)
    status = serializers.SerializerMethodField(
        help_text="`to_read` stands for `analysing` too where the second opinion is hidden."
    )
    image_count = serializers.SerializerMethodField()
    second_opinion = serializers.SerializerMethodField()
    latest_pcr = serializers.ChoiceField(
        choices=PcrResult.choices,
        read_only=True,
        allow_null=True,
        help_text="The patient's newest PCR result.",
    )
    review = serializers.SerializerMethodField(help_text="The read that counts, once there is one.")

    class Meta:
        model = Study
        fields = [
            "id", "site", "patient", "study_instance_uid", "accession_number", "study_description", "performed_at",
            "created_at", "priority", "status", "image_count", "second_opinion", "latest_pcr", "review",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=StudyStatus.choices))
    def get_status(self, study: Study) -> str:
        return shown_status(study).value

    def get_image_count(self, study: Study) -> int:
        return len(study.images.all())

    @extend_schema_field(SecondOpinionSerializer)
    def get_second_opinion(self, study: Study) -> Any:
        return SecondOpinionSerializer(second_opinion(study)).data

    @extend_schema_field(ReviewSerializer(allow_null=True))
    def get_review(self, study: Study) -> Any:
        review = current_review(study)
        return ReviewSerializer(review).data if review else None


class StudyDetailSerializer(StudySerializer):
    submitted_by = PersonSerializer(read_only=True)
    images = ImageSerializer(many=True, read_only=True)
    reviews = ReviewSerializer(many=True, read_only=True)
    reader_labels = serializers.SerializerMethodField(help_text="What a reader may sign.")
    reading = serializers.SerializerMethodField()
    outcome = serializers.SerializerMethodField(
        help_text="What the second opinion did to the read that counts, against the PCR where there is one; null while it "
        "is hidden or nothing is signed."
    )

    class Meta(StudySerializer.Meta):
        fields = [
            *StudySerializer.Meta.fields,
            "submitted_by",
            "images",
            "reviews",
            "reader_labels",
            "reading",
            "outcome",
        ]
        read_only_fields = fields

    @extend_schema_field(LabelSerializer(many=True))
    def get_reader_labels(self, study: Study) -> list[dict[str, str]]:
        return [{"code": code, "display": display} for code, display in reader_labels(study).items()]

    @extend_schema_field(ReadingSerializer)
    def get_reading(self, study: Study) -> Any:
        return ReadingSerializer(reading_of(self.context["request"].user, study)).data

    @extend_schema_field(serializers.ChoiceField(choices=Outcome.choices, allow_null=True))
    def get_outcome(self, study: Study) -> str | None:
        review = current_review(study)
        return outcome_of(study, review).value if review and not is_ai_hidden(study) else None
