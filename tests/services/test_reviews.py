"""A radiologist confirms or overrides; a signed read stays as it was signed."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, transaction

from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import AuditEvent, Prediction, Review, StudyStatus
from diagnosis.selectors.studies import current_review, second_opinion, studies_with_opinion
from diagnosis.services.predictions import prediction_request
from diagnosis.services.reviews import review_sign
from tests.factories import ImageFactory, PatientFactory, PredictionFactory, StudyFactory


@pytest.fixture
def study(site):
    study = StudyFactory(patient=PatientFactory(site=site), status=StudyStatus.TO_READ)
    PredictionFactory(image=ImageFactory(study=study), done=True)
    return study


def token(study):
    return second_opinion(study).token


def confirm(reader, study, **changes):
    return review_sign(
        actor=reader, study=study, decision="confirm", **{"opinion_token": token(study), **changes}
    )


def override(reader, study, **changes):
    values = {"label": "normal", "reason": "artefact", "opinion_token": token(study), **changes}
    return review_sign(actor=reader, study=study, decision="override", **values)


def test_confirming_signs_the_label_of_the_second_opinion(radiologist, study):
    review = confirm(radiologist, study)
    assert (review.label, review.label_display, review.reader) == ("covid19", "COVID-19", radiologist)
    study.refresh_from_db()
    assert study.is_read


def test_overriding_keeps_what_the_reader_saw_and_why(radiologist, study):
    review = override(radiologist, study, note="  Skin fold. ")
    assert (review.label, review.reason, review.note) == ("normal", "artefact", "Skin fold.")
    assert review.seen_predictions[0]["label"] == "covid19"


def test_the_signature_is_on_record_with_decision_and_reason(radiologist, study):
    review = override(radiologist, study)
    event = AuditEvent.objects.get(action="review_signed")
    assert (event.actor, event.patient, event.object_id) == (radiologist, study.patient, str(review.pk))
    assert event.details["reason"] == "artefact"


def test_a_doctor_does_not_sign(doctor, study):
    with pytest.raises(PermissionDenied):
        confirm(doctor, study)
    assert not Review.objects.exists()


def test_a_second_radiologist_gets_a_conflict_that_tells_the_first_decision(
    radiologist, second_radiologist, study
):
    confirm(radiologist, study)
    with pytest.raises(Conflict, match=r"Rafael Reader signed this study first \(confirmed .*: COVID-19\)"):
        confirm(second_radiologist, study)
    assert Review.objects.count() == 1


def test_where_a_second_reader_is_wanted_the_conflict_keeps_the_first_decision_to_itself(
    radiologist, second_radiologist, study
):
    override(radiologist, study)
    with pytest.raises(Conflict, match="Rafael Reader signed this study first, and a second reader") as error:
        override(second_radiologist, study)
    assert "Normal" not in str(error.value)
    assert Review.objects.count() == 1


def test_a_result_that_changed_on_the_way_is_not_signed(radiologist, study):
    shown = token(study)
    Prediction.objects.update(label="normal")
    with pytest.raises(Conflict, match="changed while you were reading"):
        confirm(radiologist, study, opinion_token=shown)
    assert not Review.objects.exists()


def test_an_override_needs_a_coded_reason(radiologist, study):
    with pytest.raises(ValidationError) as error:
        override(radiologist, study, reason="because")
    assert "reason" in error.value.message_dict


def test_the_reason_other_needs_a_note(radiologist, study):
    with pytest.raises(ValidationError) as error:
        override(radiologist, study, reason="other")
    assert "note" in error.value.message_dict


def test_an_override_with_the_opinions_own_label_is_no_override(radiologist, study):
    with pytest.raises(ValidationError, match="Confirm"):
        override(radiologist, study, label="covid19")


def test_an_unknown_label_is_refused(radiologist, study):
    with pytest.raises(ValidationError) as error:
        override(radiologist, study, label="<script>")
    assert "label" in error.value.message_dict


def test_images_that_disagree_leave_nothing_to_confirm(radiologist, study):
    PredictionFactory(image=ImageFactory(study=study), done=True, label="normal")
    assert second_opinion(study).is_mixed
    with pytest.raises(NotPossible, match="no single second opinion"):
        confirm(radiologist, study)
    assert decide(radiologist, study, label="covid19").label == "covid19"


@pytest.fixture
def unsure_study(study):
    """The model cannot tell whether it is COVID-19 or normal."""
    Prediction.objects.update(possible_labels=["covid19", "normal"])
    return study


def decide(reader, study, **changes):
    values = {"label": "normal", "opinion_token": token(study), **changes}
    return review_sign(actor=reader, study=study, decision="decide", **values)


def test_an_unsure_opinion_leaves_nothing_to_confirm(radiologist, unsure_study):
    for label in ("", "covid19", "normal"):
        with pytest.raises(NotPossible, match="no single second opinion to confirm"):
            confirm(radiologist, unsure_study, label=label)
    assert not Review.objects.exists()


@pytest.mark.parametrize("label", ["covid19", "normal"])
def test_a_reader_decides_for_one_of_the_labels_the_model_is_unsure_between_without_a_reason(
    radiologist, unsure_study, label
):
    review = decide(radiologist, unsure_study, label=label)
    assert (review.decision, review.label, review.reason) == ("decide", label, "")
    assert review.seen_predictions[0]["possible_labels"] == ["covid19", "normal"]
    event = AuditEvent.objects.get(action="review_signed")
    assert event.details["opinion"] == ""
    assert event.details["possible_labels"] == ["covid19", "normal"]


@pytest.mark.parametrize("label", ["", "viral_pneumonia", "other_finding", "measles"])
def test_to_decide_means_one_of_the_labels_that_are_named(radiologist, unsure_study, label):
    with pytest.raises(ValidationError) as error:
        decide(radiologist, unsure_study, label=label, note="A cavity.")
    assert "label" in error.value.message_dict
    assert not Review.objects.exists()


def test_a_label_the_model_ruled_out_overrides_it_and_needs_a_reason(radiologist, unsure_study):
    with pytest.raises(ValidationError) as error:
        override(radiologist, unsure_study, label="viral_pneumonia", reason="")
    assert "reason" in error.value.message_dict
    assert override(radiologist, unsure_study, label="viral_pneumonia").decision == "override"


@pytest.mark.parametrize("label", ["covid19", "normal"])
def test_a_label_the_model_holds_possible_is_no_override(radiologist, unsure_study, label):
    with pytest.raises(ValidationError, match="Sign it as your decision"):
        override(radiologist, unsure_study, label=label)


def test_a_reader_does_not_pass_over_an_unsure_opinion_as_unaided(radiologist, unsure_study):
    with pytest.raises(NotPossible, match="choose one of its labels or override it"):
        review_sign(
            actor=radiologist,
            study=unsure_study,
            decision="unaided",
            label="normal",
            opinion_token=token(unsure_study),
        )


def test_where_one_label_is_named_there_is_nothing_to_decide_between(radiologist, study):
    with pytest.raises(NotPossible, match="does not name several labels"):
        decide(radiologist, study, label="covid19")


def test_an_opinion_that_became_unsure_on_the_way_is_not_confirmed(radiologist, study):
    shown = token(study)
    Prediction.objects.update(possible_labels=["covid19", "normal"])
    with pytest.raises(Conflict, match="changed while you were reading"):
        confirm(radiologist, study, opinion_token=shown)
    assert not Review.objects.exists()


def test_a_refused_image_is_read_without_a_second_opinion(radiologist, site):
    study = StudyFactory(patient=PatientFactory(site=site), status=StudyStatus.TO_READ)
    PredictionFactory(image=ImageFactory(study=study), refused=True)
    assert second_opinion(study).is_refused
    with pytest.raises(NotPossible, match="no second opinion to confirm"):
        confirm(radiologist, study)
    with pytest.raises(NotPossible, match="no second opinion to override"):
        override(radiologist, study)
    review = review_sign(
        actor=radiologist, study=study, decision="unaided", label="normal", opinion_token=token(study)
    )
    assert (review.decision, review.seen_predictions[0]["label"]) == ("unaided", "")


def test_a_failed_analysis_does_not_keep_anybody_from_reading(radiologist, site):
    study = StudyFactory(patient=PatientFactory(site=site), status=StudyStatus.TO_READ)
    PredictionFactory(image=ImageFactory(study=study), failed=True)
    review = review_sign(
        actor=radiologist, study=study, decision="unaided", label="normal", opinion_token=token(study)
    )
    assert review.decision == "unaided"


def test_a_reader_does_not_pass_over_an_opinion_as_unaided(radiologist, study):
    with pytest.raises(NotPossible, match="confirm it or override it"):
        review_sign(
            actor=radiologist, study=study, decision="unaided", label="normal", opinion_token=token(study)
        )


def test_an_image_that_comes_later_gets_a_read_that_follows_the_first(radiologist, second_radiologist, study):
    first = confirm(radiologist, study)
    PredictionFactory(image=ImageFactory(study=study), done=True)
    study.status = StudyStatus.TO_READ
    study.save()
    second = confirm(second_radiologist, study)
    assert second.follows == first
    assert (
        current_review(studies_with_opinion(type(study).objects.filter(pk=study.pk), viewer=None).get())
        == second
    )


@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_database_refuses_to_change_a_signed_read(radiologist, study, change):
    review = confirm(radiologist, study)
    rows = Review.objects.filter(pk=review.pk)
    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
        rows.update(label="normal") if change == "update" else rows._raw_delete(rows.db)
    review.refresh_from_db()
    assert review.label == "covid19"


def test_a_late_analysis_of_a_read_study_leaves_it_read(radiologist, doctor, study):
    confirm(radiologist, study)
    prediction_request(actor=doctor, image=ImageFactory(study=study))
    study.refresh_from_db()
    assert study.is_read
